"""Every command speaks one language: the same names, the same meaning, the same help; examples that work, on one screen."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import examples
import numpy as np
import pytest

from aezip import cli
from aezip.cli import demo
from aezip.cli.helping import Command

COMMANDS: dict[str, Command] = dict(cli.cli.commands)  # type: ignore[arg-type]
SHARED = ("quiet", "verbose", "force", "output", "json", "no-progress", "threads")
# what answers at once has no progress and no steps; what writes no file has no output to name or to replace
HAS = {
    "compress": SHARED,
    "decompress": SHARED,
    "report": SHARED,
    "suggest": SHARED,
    "train": SHARED,
    "test": ("quiet", "verbose", "json", "no-progress", "threads"),
    "verify": ("quiet", "verbose", "json", "no-progress", "threads"),
    "bench": ("quiet", "verbose", "json", "no-progress", "threads"),
    "demo": ("quiet", "verbose", "json", "no-progress", "threads"),
    "features": ("quiet", "force", "output", "json"),
    "info": ("quiet", "json"),
    "nearest": ("quiet", "json"),
    "recommend": ("quiet", "json"),
    "completion": (),  # prints a script, and nothing else
}
DIFFERENT = {
    "--output": "a model goes into a file, never to standard output",
    "--preset": "instant trains nothing, so that train has none; bench takes several",
    "--dataset": "features, nearest and recommend are of one array",
    "--no-verify": "compress decodes what it wrote, report what it is given",
    "--max-seconds": "of the sandbox of test, and of each codec in bench",
}
SHORT = {"compress": 65, "bench": 44, "train": 44}  # lines of help; the others fit a screen of 24
EXAMPLES = [(name, line) for name, command in COMMANDS.items() for line in command.examples]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    examples.make(folder)
    return folder


def options(command: click.Command) -> dict[str, click.Option]:
    found = [p for p in command.params if isinstance(p, click.Option)]
    return {max(option.opts, key=len): option for option in found if not option.hidden}


def shown(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setenv("COLUMNS", "100")
    assert cli.run([name, "--help"]) == 0
    return capsys.readouterr().out


def test_each_command_has_the_options_that_do_something_in_it() -> None:
    assert set(HAS) == set(COMMANDS)
    for name, command in COMMANDS.items():
        assert {f"--{word}" for word in SHARED} & set(options(command)) == {f"--{word}" for word in HAS[name]}, name


def test_an_option_means_the_same_everywhere() -> None:
    texts: dict[str, set[tuple[Any, ...]]] = {}
    for command in COMMANDS.values():
        for name, option in options(command).items():
            texts.setdefault(name, set()).add((option.help, tuple(option.opts), type(option.type)))
    assert {name for name, found in texts.items() if len(found) > 1} == set(DIFFERENT)
    assert not [name for name, found in texts.items() for text, *_ in found if not text]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_fits_a_screen_and_ends_in_two_examples(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(name, monkeypatch, capsys).splitlines()
    assert len(lines) <= SHORT.get(name, 24)
    assert max(map(len, lines)) <= 100
    assert lines[-3] == "Examples:"
    assert [line.strip() for line in lines[-2:]] == list(COMMANDS[name].examples)


@pytest.mark.train
@pytest.mark.parametrize(("name", "line"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_examples_of_the_help_work(
    name: str, line: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    load = demo.load
    monkeypatch.setattr(demo, "load", lambda *words: load(*words)[:2, ..., :8])
    if name == "completion":
        program = f'aezip() {{ {shlex.quote(sys.executable)} -m aezip "$@"; }}; {line}'
        subprocess.run(["bash", "-ec", program], check=True, cwd=tmp_path)
        return
    words = shlex.split(line, comments=True)
    assert words[:2] == ["aezip", name]
    assert examples.run(words[1:], made) == 0, capsys.readouterr().err


@pytest.mark.train
def test_quiet_says_nothing(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    load = demo.load
    monkeypatch.setattr(demo, "load", lambda *words: load(*words)[:2, ..., :8])
    for name, command in COMMANDS.items():
        if HAS[name]:
            words = [word for word in shlex.split(command.examples[0], comments=True)[1:] if word != "--json"]
            assert examples.run([*words, "-q", *(["-f"] if "force" in HAS[name] else [])], made) == 0
            assert capsys.readouterr() == ("", ""), name


def test_verbose_tells_the_steps(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words, steps in (
        (["compress", "temperature.npy", "--preset", "instant"], "reading .*, encoding .*, verifying"),
        (["decompress", "temperature.npy.aez", "-f"], "decoding"),
        (["test", "temperature.npy.aez"], "verifying"),
        (["verify", "temperature.npy", "temperature.npy.aez"], "verifying"),
        (["suggest", "model.nc"], "measuring"),
    ):
        assert examples.run([*words, "-v"], made) == 0
        assert re.search(rf"^[a-z.]+: .*{steps} [0-9.]+ s; [0-9.]+ s in all$", capsys.readouterr().err, re.M), words


def test_one_file_is_told_in_four_lines_and_several_in_one_each(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for bound, error in (
        (["--range-rel", "1e-2"], r"max [0-9.e-]+, [0-9.]+ of the range, range-relative 0.01 allowed"),
        (["--abs", "0.5"], r"max [0-9.e-]+, absolute 0.5 allowed"),
        (["--point-rel", "0.1"], r"max [0-9.e-]+ of a value, point-relative 0.1 allowed"),
        (["--psnr", "40"], r"PSNR [0-9.]+ dB, psnr 40 allowed"),
        (["--nrmse", "0.01"], r"NRMSE [0-9.]+, nrmse 0.01 allowed"),
        (["--lossless"], "none, every value is bit-identical"),
    ):
        assert examples.run(["compress", "temperature.npy", "--preset", "instant", "-f", *bound], made) == 0
        first, *rest = capsys.readouterr().out.splitlines()
        assert re.fullmatch(r"temperature\.npy\.aez: 9\.60 kB -> .*, ratio .*, (max error .*|no error)", first)
        for line, words in zip(rest, (f"error  {error}", "plan   .+", r"time   [0-9.]+ s, .* MB/s"), strict=True):
            assert re.fullmatch(f"  {words}", line), line
    assert examples.run(["decompress", "temperature.npy.aez", "model.nc.aez", "--output-dir", "back"], made) == 0
    assert len(capsys.readouterr().err.splitlines()) == 2
    np.testing.assert_allclose(np.load("back/temperature.npy"), examples.FIELD, atol=1e-3 * np.ptp(examples.FIELD))
