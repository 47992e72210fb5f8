"""Files behind URLs, read where they are asked for and no further; by fsspec, which is an extra."""

from __future__ import annotations

from typing import Any

from .errors import InvalidInput

BLOCK = 1 << 16  # bytes that are fetched at once, at least


class Remote:
    """A file behind a URL, open for reading.

    Parameters
    ----------
    url
        As fsspec has them.

    Attributes
    ----------
    size : int
        Bytes of the file.
    failed : str
        What went wrong last; "" so far.

    Raises
    ------
    InvalidInput
        If fsspec or what it needs is not installed, or there is no such file.
    """

    def __init__(self, url: str) -> None:
        self.url, self.failed = url, ""
        try:
            import fsspec
        except ImportError as error:
            raise InvalidInput("reading from URLs needs fsspec: pip install 'aezip[remote]'") from error
        try:
            self._file: Any = fsspec.open(url, "rb", block_size=BLOCK, cache_type="blockcache").open()
            self.size = int(self._file.size)
        except (ImportError, ValueError) as error:
            raise InvalidInput(f"{url}: {_words(error)}") from error
        except FileNotFoundError as error:
            raise InvalidInput(f"{url} does not exist or cannot be reached: check the address") from error
        except Exception as error:  # each of fsspec's file systems has exceptions of its own
            raise InvalidInput(f"{url} cannot be opened ({_words(error)}): check the address and the network") from error

    def read(self, size: int = -1) -> bytes:
        """Return bytes from where it stands."""
        try:
            data: bytes = self._file.read(size)
        except Exception as error:
            self.failed = _words(error)
            raise OSError(self.failed) from error
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from where it stands; return how much of it."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """Return where it stands."""
        return int(self._file.tell())

    def close(self) -> None:
        """Close it."""
        self._file.close()

    def stopped(self) -> InvalidInput:
        """Return what is said where the connection broke."""
        return InvalidInput(f"{self.url} stopped in the middle ({self.failed}): try again, or fetch the whole file first")


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__
