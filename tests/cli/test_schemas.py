"""What `--json` prints is what the schemas in docs/schemas say."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import examples
import pytest
from helpers import ROOT

from aezip import cli
from aezip.cli import demo

jsonschema = pytest.importorskip("jsonschema")
referencing = pytest.importorskip("referencing")
FOLDER = ROOT / "docs" / "schemas"
INSTANT = "--preset instant"
LINES = {
    "compress": [
        f"temperature.npy --abs 0.1 {INSTANT}", f"model.nc {INSTANT}", f"temperature.npy model.nc none.npy {INSTANT}",
        "temperature.npy --abs 0.1 --dry-run",
    ],
    "decompress": [
        "temperature.npy.aez", "temperature.npy.aez --salvage -f", "model.nc.aez", "temperature.npy.aez model.nc.aez none -f",
    ],
    "info": ["temperature.npy.aez", "model.nc.aez images.npy.aez ratings.npy.aez none.aez"],
    "test": ["temperature.npy.aez none.aez", "daily.aezm"],
    "verify": ["temperature.npy temperature.npy.aez", "model.nc model.nc.aez"],
    "report": [
        "temperature.npy.aez -o r.html",
        "temperature.npy.aez temperature.npy -o s.html",
        "temperature.npy.aez broken.npy -o t.html",
    ],
    "bench": [f"temperature.npy --abs 0.1 {INSTANT}"],
    "train": ["january.npy --abs 0.01 --preset fast -o made.aezm"],
    "suggest": ["model.nc", "temperature.npy -o bounds.toml"],
    "features": ["images.npy.aez -o codes.npy"],
    "nearest": ["images.npy.aez --row 3"],
    "recommend": ["ratings.npy.aez --user 3"],
    "demo": [INSTANT],
}  # fmt: skip
FAILS = ("none", "broken")


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    examples.make(folder)
    return folder


def test_every_command_that_prints_json_has_a_schema() -> None:
    with_json = {name for name, command in cli.cli.commands.items() if any("--json" in p.opts for p in command.params)}
    assert with_json == set(LINES) == {path.stem for path in FOLDER.glob("*.json")} - {"common"}
    for path in FOLDER.glob("*.json"):
        jsonschema.Draft202012Validator.check_schema(schema(path.stem))


@pytest.mark.train
@pytest.mark.parametrize("name", sorted(LINES))
def test_what_is_printed_is_what_the_schema_says(
    name: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    load = demo.load
    monkeypatch.setattr(demo, "load", lambda *words: load(*words)[:2, ..., :8])
    common = referencing.Resource.from_contents(schema("common"))
    registry = referencing.Registry().with_resource("common.json", common)
    validator = jsonschema.Draft202012Validator(schema(name), registry=registry)
    for line in LINES[name]:
        code = examples.run([name, *shlex.split(line), "--json"], made)
        assert (code != 0) == any(word in line for word in FAILS), line
        told = json.loads(capsys.readouterr().out)
        validator.validate(told)
        assert not validator.is_valid({**told, "unknown": 1})
