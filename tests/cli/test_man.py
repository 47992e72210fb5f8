"""Manual pages are made of the commands, name every option, and are what groff takes without a word."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from helpers import ROOT

from aezip import cli

sys.path.insert(0, str(ROOT))
man = pytest.importorskip("tools.man")


def test_there_is_a_page_for_every_command_with_every_option() -> None:
    pages = man.pages()
    assert set(pages) == {"aezip.1", *(f"aezip-{name}.1" for name in cli.cli.commands)}
    for name, command in cli.cli.commands.items():
        text = pages[f"aezip-{name}.1"]
        assert text.startswith(".TH ")
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert all(man.escaped(word) in text for word in option.opts), (name, option.opts)
        assert f"aezip\\-{name}" in pages["aezip.1"]


@pytest.mark.process
@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_takes_the_pages_without_a_warning(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "tools.man", str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    for path in tmp_path.glob("*.1"):
        made = subprocess.run(["groff", "-man", "-Tutf8", "-ww", str(path)], capture_output=True, text=True)
        assert (made.returncode, made.stderr) == (0, ""), path.name
        assert made.stdout.count("\n") > 20
