"""What the documents show works as shown, and the proofs they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers import ROOT, TESTS, fenced

README = ROOT / "README.md"


def blocks(language: str) -> list[str]:
    return [text for words, text in fenced(README) if words == [language]]


@pytest.mark.train
def test_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    programs = blocks("python")
    assert len(programs) >= 3
    known: dict[str, object] = {}
    for program in programs:  # one after the other, as a reader types them
        exec(compile(program, str(README), "exec"), known)


def test_commands_and_options_of_the_readme_exist() -> None:
    from aezip.cli import cli

    lines = [line.partition("#")[0].split() for block in blocks("console") for line in block.splitlines()]
    used = [words for words in lines if words and words[0] == "aezip"]
    assert used
    for words in used:
        command = cli.commands[words[1]]
        known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
        assert {word for word in words[2:] if word.startswith("-")} <= known


def test_the_place_of_the_benchmark_table_is_marked() -> None:
    text = README.read_text(encoding="utf-8")
    assert text.index("<!-- table:begin -->") < text.index("<!-- table:end -->")


def test_every_proof_that_the_guarantees_name_exists() -> None:
    text = (README.parent / "docs" / "guarantees.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+)\.(test_\w+)`", text)
    assert named
    for module, name in named:
        source = next(TESTS.rglob(f"{module}.py")).read_text(encoding="utf-8")
        assert f"def {name}(" in source, f"{module}.{name}"
