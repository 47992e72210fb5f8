"""Archives behind URLs: the header and the chunks that are touched are fetched, and no more; what breaks is told in a line."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import aezip
from aezip import cli
from aezip.core.errors import CorruptFile, InvalidInput

fsspec = pytest.importorskip("fsspec")
X = np.random.default_rng(0).normal(size=(64, 250, 260)).astype("f4")  # noise: chunks are large


class Server(ThreadingHTTPServer):
    """Serves files of a folder in ranges, counting bytes; from `most` bytes on it breaks off."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.sent, self.most = folder, 0, 1 << 60
        super().__init__(("127.0.0.1", 0), Handler)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.server.folder / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        asked = self.headers.get("Range", "")
        start, stop = 0, len(data)
        if asked.startswith("bytes="):
            low, _, high = asked[6:].partition("-")
            start, stop = int(low), min(len(data), int(high) + 1 if high else len(data))
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if body:
            if self.server.sent + stop - start > self.server.most:
                self.wfile.write(data[start : start + 10])  # and then nothing
                return
            self.server.sent += stop - start
            self.wfile.write(data[start:stop])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("served")
    aezip.compress(X, made / "x.npy.aez", bound=aezip.Absolute(0.01), preset="instant")
    return made


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    made = Server(folder)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


def test_only_what_is_touched_is_fetched(folder: Path, server: Server) -> None:
    size = (folder / "x.npy.aez").stat().st_size
    with aezip.open(server.url("x.npy.aez")) as archive:
        view = archive["data"]
        assert (view.shape, view.ndim, view.size, view.nbytes) == (X.shape, 3, X.size, X.nbytes)
        count = -(-X.shape[0] // view.chunks[0])
        assert count >= 4
        opened = server.sent
        assert opened < size / 10
        part = view[1:3, 5]
        one = server.sent - opened
    assert one < size / count + 3 * (1 << 16)
    np.testing.assert_array_equal(part, aezip.decompress(folder / "x.npy.aez")[1:3, 5])


def test_memory_urls_work(folder: Path) -> None:
    with fsspec.open("memory://deep/x.aez", "wb") as file:
        file.write((folder / "x.npy.aez").read_bytes())
    np.testing.assert_array_equal(aezip.decompress("memory://deep/x.aez"), aezip.decompress(folder / "x.npy.aez"))


def test_the_command_line_takes_urls(
    folder: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["decompress", server.url("x.npy.aez"), "--slice", "3"]) == 0
    np.testing.assert_array_equal(np.load("x.npy"), aezip.decompress(folder / "x.npy.aez")[3])
    assert cli.run(["info", server.url("x.npy.aez")]) == 0
    assert cli.run(["info", server.url("y.aez")]) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert "y.aez does not exist or cannot be reached: check the address" in err


def test_what_breaks_off_is_told(server: Server) -> None:
    server.most = 1000
    with pytest.raises(InvalidInput, match=r"stopped in the middle|cannot be opened"):
        aezip.open(server.url("x.npy.aez"))
    server.most, server.sent = 1 << 60, 0
    with aezip.open(server.url("x.npy.aez")) as archive:
        server.most = 0
        with pytest.raises(InvalidInput, match="stopped in the middle"):
            archive["data"][-1]


def test_other_files_and_addresses_are_refused(folder: Path, server: Server) -> None:
    (folder / "other.bin").write_bytes(b"x" * 10000)
    with pytest.raises(CorruptFile, match="not an aezip file"):
        aezip.open(server.url("other.bin"))
    with pytest.raises(InvalidInput, match="nosuch"):
        aezip.open("nosuch://x/y.aez")
    with pytest.raises(InvalidInput, match="cannot be reached"):
        aezip.open("http://127.0.0.1:9/x.aez")
