"""What a release says of itself in several places is the same everywhere."""

from __future__ import annotations

import re
import tomllib

import pytest
from helpers import TESTS

import aezip

ROOT = TESTS.parent
yaml = pytest.importorskip("yaml")


def project() -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return found


def recipe() -> dict[str, dict[str, list[str]]]:
    """Return the conda recipe, its few templates replaced by hand."""
    text = (ROOT / "conda" / "meta.yaml").read_text("utf-8")
    (version,) = re.findall(r'{% set version = "(.*)" %}', text)
    text = re.sub(r"{%.*%}", "", text).replace("{{ version }}", f'"{version}"')
    found: dict[str, dict[str, list[str]]] = yaml.safe_load(re.sub(r"{{.*?}}", "filled", text))
    return found


def test_the_version_is_one() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert cited["version"] == aezip.__version__
    assert recipe()["package"]["version"] == aezip.__version__
    assert cited["license"] == project()["license"]
    assert str(project()["description"]).lower() in cited["title"].lower()


def test_the_recipe_asks_for_what_the_package_asks_for() -> None:
    named = {"torch": "pytorch"}
    wanted = {tuple(re.split(r"(?=>=)", str(one), maxsplit=1)) for one in project()["dependencies"]}  # type: ignore[attr-defined]
    run = {tuple(one.split()) for one in recipe()["requirements"]["run"]} - {("python", str(project()["requires-python"]))}
    assert run == {(named.get(name, name), least) for name, least in wanted}


def test_the_changelog_tells_of_something() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(rf"^## \[(Unreleased|{re.escape(aezip.__version__)})\]", text, re.M)
