"""Undo zstd with whatever this Python has: our extension, 3.14's own module, a package.

Threads: any. Owns: nothing. Fails: KoloError where nothing can, ValueError where the
bytes are not what they should be.
"""

from __future__ import annotations

import importlib
from functools import lru_cache

from kolo_c.errors import KoloError
from kolo_c.extension import extension_for_reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Decompress = Callable[[bytes, int], bytes]

_MOST_BYTES = 16 << 20
"""Four times the largest source that is kept; a block has far less."""
RAW = 0
ZSTD = 1


def expand(encoding: int, data: bytes, size: int) -> bytes:
    """The ``size`` bytes that ``data`` was made from."""
    if encoding == RAW:
        return data
    if encoding != ZSTD:
        raise ValueError(f"encoding {encoding} is not known")
    if not 0 <= size <= _MOST_BYTES:
        raise ValueError(f"a size of {size} bytes cannot be")
    try:
        plain = _zstd()(data, size)
    except KoloError:
        raise
    except Exception as error:  # each library has exceptions of its own
        raise ValueError(f"zstd: {error}") from error
    if len(plain) != size:
        raise ValueError(f"{len(plain)} bytes where {size} were expected")
    return plain


@lru_cache(maxsize=1)
def _zstd() -> Decompress:
    for find in (_from_extension, _from_standard_library, _from_package):
        found = find()
        if found is not None:
            return found
    raise KoloError(
        "this trace is compressed with zstd, which this Python cannot read",
        "Use kolo-c with its C extension, or Python 3.14, or: pip install zstandard",
        slug="no-zstd",
    )


def _from_extension() -> Decompress | None:
    extension = extension_for_reading()
    found: Decompress | None = getattr(extension, "zstd_decompress", None)
    return found


def _from_standard_library() -> Decompress | None:
    try:
        module = importlib.import_module("compression.zstd")
    except ImportError:
        return None

    def decompress(data: bytes, size: int) -> bytes:
        # One byte more than promised is enough to see that the promise is broken.
        reader = module.ZstdDecompressor()
        return bytes(reader.decompress(data, max_length=size + 1))

    return decompress


def _from_package() -> Decompress | None:
    try:
        module = importlib.import_module("zstandard")
    except ImportError:
        return None

    def decompress(data: bytes, size: int) -> bytes:
        with module.ZstdDecompressor().stream_reader(data) as reader:
            return bytes(reader.read(size + 1))

    return decompress
