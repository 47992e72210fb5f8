"""`aezip completion`: scripts that shells take, and what they complete."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aezip import cli
from aezip.cli.completion import VARIABLE

BASH = shutil.which("bash")


def completed(*words: str) -> list[str]:
    """Return what the script of bash is answered after these words."""
    asked = {VARIABLE: "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    command = [sys.executable, "-c", "from aezip import cli; cli.main()"]
    return subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["completion", shell]) == 0
    out, err = capsys.readouterr()
    assert f"{VARIABLE}={shell}_complete" in out
    assert err == ""
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=out, text=True, check=True)


def test_another_shell_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["completion", "tcsh"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "'bash', 'zsh', 'fish'" in err


@pytest.mark.process
def test_commands_options_and_files_are_completed() -> None:
    assert completed("aezip", "comp") == ["plain,completion", "plain,compress"]
    assert completed("aezip", "decompress", "--sal") == ["plain,--salvage"]
    assert completed("aezip", "compress", "x.n") == ["file,x.n"]
    assert completed("aezip", "compress", "--bounds", "b") == ["file,b"]


@pytest.mark.process
@pytest.mark.skipif(BASH is None, reason="bash is not installed")
def test_bash_completes_by_the_script(tmp_path: Path) -> None:
    program = tmp_path / "aezip"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m aezip "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(aezip completion bash)"\n'
        "COMP_WORDS=(aezip decomp); COMP_CWORD=1\n"
        '_aezip_completion aezip decomp aezip; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    env = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    made = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env)
    assert made.stdout.split() == ["decompress"], made.stderr
