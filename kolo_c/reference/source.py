"""The text of a file of kept code: read, searched for secrets, hashed.

Twin of src/plain/source.c. A text is kept only while the file is as the program saw it
(size and time of the last change), and up to 4 MiB. Its hash is the 128-bit FNV-1a of
the text as it is stored, secrets masked, in 32 hexadecimal digits: it finds equal
texts, it proves nothing.

Threads: any; the calls wait for the disk. Owns: nothing.
Fails: never: where a file cannot be kept, ``text`` is None and ``note`` says why.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from kolo_c.reference import system
from kolo_c.reference.mask_shapes import find

SOURCE_MAX_BYTES = 4 * 1024 * 1024
_BASIS = 0x6C62272E07BB014262B821756295C58D
_PRIME = (1 << 88) + 0x13B
_ALL = (1 << 128) - 1
_UTF8 = ("utf-8", "surrogatepass")


class Source:
    """A text, or why there is none."""

    __slots__ = ("hash", "mask_count", "note", "text")

    def __init__(self, text: bytes | None, note: str = "") -> None:
        """Mask and hash ``text``."""
        self.note = note
        self.mask_count = 0
        self.text = text
        self.hash = ""
        if text is not None:
            self.text, self.mask_count = _masked(text)
            self.hash = text_hash(self.text)


def text_hash(text: bytes) -> str:
    """FNV-1a in 128 bits."""
    value = _BASIS
    for byte in text:
        value = (value ^ byte) * _PRIME & _ALL
    return f"{value:032x}"


def _masked(text: bytes) -> tuple[bytes, int]:
    """Stars for each secret; its line ends stay, so that line numbers do."""
    parts = []
    count = at = 0
    while at < len(text):
        span = find(text, at)
        if span is None:
            break
        start, end = span[:2]
        secret = text[start:end]
        parts.append(text[at:start])
        parts.append(bytes(byte if byte in b"\r\n" else 0x2A for byte in secret))
        count += 1
        at = end
    parts.append(text[at:])
    return b"".join(parts), count


def source_copy(text: bytes) -> Source:
    """A text that is in no file."""
    return Source(text)


def source_read(path: bytes, size: int, mtime_ns: int) -> Source:
    """Read the file at ``path``, as Python names it.

    UTF-8, undecodable bytes as the three bytes of a lone surrogate.
    """
    if size > SOURCE_MAX_BYTES:
        return Source(None, f"larger than {SOURCE_MAX_BYTES} bytes")
    try:
        # The name as the system has it: what UTF-8 does not know were its bytes.
        name = path.decode(*_UTF8).encode("utf-8", "surrogateescape")
        # Never wait for a pipe that has taken the file's place.
        fd = system.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        return Source(None, f"not readable (errno {error.errno})")
    except ValueError:  # no file has such a name
        return Source(None, "not readable (errno 2)")
    try:
        # The second look is for a change in the middle of the reading.
        text = _read_all(fd, size) if _is_same(fd, size, mtime_ns) else None
        if text is None or not _is_same(fd, size, mtime_ns):
            return Source(None, "changed since the program read it")
    finally:
        system.close(fd)
    return Source(text)


def _is_same(fd: int, size: int, mtime_ns: int) -> bool:
    about = system.fstat(fd)
    return (
        S_ISREG(about.st_mode)
        and about.st_size == size
        and about.st_mtime_ns == mtime_ns
    )


def _read_all(fd: int, size: int) -> bytes | None:
    parts = []
    left = size
    while left > 0:
        try:
            part = system.read(fd, left)
        except OSError:
            return None
        if not part:
            return None
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
