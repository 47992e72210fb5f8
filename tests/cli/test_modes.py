"""Who may read what is written: modes, owners and links of outputs, and of the temporary files that become them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import aezip
from aezip import cli
from aezip.archive import train as training
from aezip.archive.models import Model
from aezip.core import atomic

X = np.arange(600, dtype="f4").reshape(100, 6)
Y = np.cumsum(np.random.default_rng(0).normal(size=(400, 6)), axis=0)
FAST = ["--preset", "fast", "-q"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o022)
    np.save("x.npy", X)
    yield tmp_path
    os.umask(before)


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture(scope="module")
def coded() -> bytes:
    data: bytes = aezip.compress(Y, bound=aezip.RangeRelative(1e-2), preset="fast", codes=True)[0]
    return data


@pytest.fixture(scope="module")
def model() -> Model:
    return training.train(Y, bound=aezip.RangeRelative(1e-2), preset="fast")


@pytest.fixture
def trained(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "train", lambda *_, **__: model)  # training takes seconds


def write_all(given: int, coded: bytes, prefix: str) -> list[str]:
    """Write every kind of output from inputs of one mode; return the names."""
    np.save("y.npy", Y)
    Path("c.aez").write_bytes(coded)
    for name in ("y.npy", "c.aez"):
        os.chmod(name, given)
    words = {
        "c.aez": ["compress", "y.npy", *FAST],
        "d.npy": ["decompress", "c.aez", "-q"],
        "d.npz": ["decompress", "c.aez", "-q"],
        "d.raw": ["decompress", "c.aez", "-q"],
        "f.npy": ["features", "c.aez"],
        "r.html": ["report", "c.aez", "y.npy"],
        "m.aezm": ["train", "y.npy", *FAST],
    }
    for name, command in words.items():
        assert cli.run([*command, "-o", prefix + name, "-f"]) == 0, name
    return [prefix + name for name in words]


@pytest.mark.train
@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(("given", "mask"), [(0o600, 0o022), (0o640, 0o022), (0o666, 0o022), (0o400, 0o022), (0o666, 0o077)])
def test_a_new_output_has_the_mode_of_its_input_less_the_umask(folder: Path, given: int, mask: int, coded: bytes) -> None:
    os.umask(mask)
    for name in write_all(given, coded, "new-"):
        assert mode(name) == given & ~mask, name


@pytest.mark.train
@pytest.mark.usefixtures("trained")
def test_a_replaced_output_keeps_its_mode(folder: Path, coded: bytes) -> None:
    names = write_all(0o600, coded, "old-")
    for name in names:
        os.chmod(name, 0o604)
    assert write_all(0o666, coded, "old-") == names
    assert {mode(name) for name in names} == {0o604}


def test_arrays_in_memory_and_standard_input_have_no_mode_to_hand_on(folder: Path) -> None:
    aezip.compress(X, "new.aez", preset="fast")
    assert mode("new.aez") == 0o644
    os.chmod("new.aez", 0o600)
    aezip.compress(X, "new.aez", preset="fast", overwrite=True)
    assert mode("new.aez") == 0o600
    with atomic.sources("-"), atomic.replacing(Path("t"), overwrite=False):
        pass
    assert mode("t") == 0o644


def test_of_several_inputs_the_most_private_one_counts(folder: Path) -> None:
    np.save("private.npy", X)
    os.chmod("private.npy", 0o600)
    with atomic.sources("x.npy", "private.npy", "-"), atomic.replacing(Path("t"), overwrite=False):
        pass
    assert mode("t") == 0o600


def test_only_the_owner_reads_a_file_that_has_no_name_yet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    create, permit = atomic.Temporary.create, atomic.Temporary.permit

    def created(self: atomic.Temporary) -> None:
        create(self)
        seen.append(mode(self.path))

    def permitted(self: atomic.Temporary, *, overwrite: bool) -> None:
        seen.append(mode(self.path))
        permit(self, overwrite=overwrite)

    monkeypatch.setattr(atomic.Temporary, "create", created)
    monkeypatch.setattr(atomic.Temporary, "permit", permitted)
    for _ in range(2):
        assert cli.run(["compress", "x.npy", "-f", *FAST]) == 0
        assert cli.run(["decompress", "x.npy.aez", "-o", "y.npy", "-f", "-q"]) == 0
    assert seen == [0o600] * 8


def test_a_link_stays_and_its_target_is_written(folder: Path) -> None:
    Path("sub").mkdir()
    Path("sub/target.aez").write_bytes(b"old")
    os.chmod("sub/target.aez", 0o640)
    Path("link.aez").symlink_to("sub/target.aez")
    assert cli.run(["compress", "x.npy", "-o", "link.aez", *FAST]) == 2
    assert cli.run(["compress", "x.npy", "-o", "link.aez", "-f", *FAST]) == 0
    assert Path("link.aez").is_symlink()
    assert mode("sub/target.aez") == 0o640
    assert (aezip.decompress("sub/target.aez") == X).all()
    assert sorted(path.name for path in Path("sub").iterdir()) == ["target.aez"]


def test_links_to_nothing_to_themselves_and_to_the_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("dangling.aez").symlink_to("made.aez")
    Path("lost.aez").symlink_to("nowhere/made.aez")
    Path("loop.aez").symlink_to("loop.aez")
    Path("self.npy").symlink_to("x.npy")
    for name, words in (("lost.aez", "does not exist"), ("loop.aez", "leads back to itself"), ("self.npy", "input itself")):
        assert cli.run(["compress", "x.npy", "-o", name, "-f", *FAST]) == 2
        assert words in capsys.readouterr().err
    assert cli.run(["compress", "x.npy", "-o", "dangling.aez", *FAST]) == 2
    assert cli.run(["compress", "x.npy", "-o", "dangling.aez", "-f", *FAST]) == 0
    assert Path("dangling.aez").is_symlink()
    assert (aezip.decompress("made.aez") == X).all()
    assert (np.load("x.npy") == X).all()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_root_keeps_the_owner_of_what_is_replaced(folder: Path) -> None:
    Path("y.aez").write_bytes(b"old")
    os.chown("y.aez", 1234, 4321)
    os.chmod("y.aez", 0o640)
    assert cli.run(["compress", "x.npy", "-o", "y.aez", "-f", *FAST]) == 0
    found = os.stat("y.aez")
    assert (found.st_uid, found.st_gid, mode("y.aez")) == (1234, 4321, 0o640)


@pytest.mark.parametrize(("given", "left"), [(0o640, 0o600), (0o664, 0o644), (0o666, 0o666), (0o660, 0o600), (0o604, 0o604)])
def test_another_group_gets_no_more_than_everybody(folder: Path, given: int, left: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is replaced where its group cannot be kept, and of an input of another group."""

    class Other:
        def __init__(self, found: os.stat_result) -> None:
            self.st_mode, self.st_uid, self.st_gid = found.st_mode, found.st_uid, found.st_gid + 1

    def refuse(*_: object) -> None:
        raise PermissionError

    os.umask(0)
    for name in ("old", "x.npy"):
        Path(name).touch()
        os.chmod(name, given)
    real, real_of_path = os.stat, Path.stat
    with monkeypatch.context() as patch:
        patch.setattr(os, "chown", refuse)
        patch.setattr(Path, "stat", lambda self, **_: Other(real(self)) if self.name == "old" else real_of_path(self))
        with atomic.replacing(Path("old"), overwrite=True):
            pass
        patch.setattr(os, "stat", lambda path, **_: Other(real(path)) if path == "x.npy" else real(path))
        with atomic.sources("x.npy"), atomic.replacing(Path("new"), overwrite=False):
            pass
    assert mode("old") == left
    assert mode("new") == left


def test_a_file_system_without_modes_is_written_all_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "chmod", refuse)
    for _ in range(2):
        assert cli.run(["compress", "x.npy", "-f", *FAST]) == 0


def test_names_as_long_as_the_system_allows(folder: Path) -> None:
    for name in ("n" * 251 + ".aez", "日" * 83 + ".aez"):
        aezip.compress(X, name, preset="fast")
        assert (aezip.decompress(name) == X).all()
