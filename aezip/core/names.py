"""Names of files and arrays, which may hold any bytes: as text that a file may store, and as text that a terminal may see.

Python hands out bytes that are no text of the locale as lone surrogates (PEP 383); no UTF-8 has those. Knows nothing else.
"""

from __future__ import annotations

_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BYTES = range(0xDC80, 0xDD00)  # how a byte from 0x80 on is handed out


def stored(name: str | bytes) -> str:
    r"""Return a name as text, the same in every locale: its bytes as UTF-8, those that are none escaped: ``caf\xe9``."""
    return (_bytes(name) if isinstance(name, str) else name).decode("utf-8", "backslashreplace")


def _bytes(name: str) -> bytes:
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # other surrogates: from a program, not from a file system
        return name.encode("utf-8", "backslashreplace")


def shown(text: str) -> str:
    """Return text with everything escaped that commands a terminal, breaks a line, or cannot be written."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if code in _BYTES:
        return f"\\x{code - 0xDC00:02x}"
    return _ESCAPES.get(character, f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
