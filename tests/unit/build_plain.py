"""Builds and loads src/plain as a shared library, with plain.c and the rig of tests/c.

The twins in kolo_c/reference are compared with it, block by block.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.unit.build_encode import ROOT, SRC, WARNINGS, _msgpack_flags
from tests.unit.store_builder import SCHEMA as SCHEMA_PATH

RIG = ROOT / "tests" / "c"
LIBRARIES = ("-lsqlite3", "-lzstd", "-lpthread")


class Recovered(ctypes.Structure):
    """struct kc_recovered."""

    _fields_ = (
        ("blocks", ctypes.c_uint32),
        ("records", ctypes.c_uint32),
        ("definitions", ctypes.c_uint32),
        ("damaged", ctypes.c_uint32),
        ("lost_records", ctypes.c_uint64),
        ("error", ctypes.c_char * 256),
    )


def sources() -> list[Path]:
    """What is compiled."""
    rig = [RIG / "rig.c", RIG / "check.c"]
    return [Path(__file__).with_name("plain.c"), *rig, *sorted(SRC.glob("plain/*.c"))]


def build() -> Path:
    """The shared library, made unless one of the same sources is there."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise RuntimeError("no C compiler")
    digest = hashlib.sha256(f"{compiler} {SCHEMA_PATH}".encode())
    for path in [*sources(), *sorted(SRC.glob("plain/*.h")), *sorted(RIG.glob("*.h"))]:
        digest.update(path.read_bytes())
    folder = Path(tempfile.gettempdir()) / f"kolo-c-plain-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"plain-{digest.hexdigest()[:20]}.so"
    if not target.exists():
        made = target.with_suffix(f".{os.getpid()}")
        command = [compiler, "-shared", "-fPIC", "-std=c11", "-O2", "-g"]
        command += [f"-I{SRC}", f"-I{RIG}", f'-DSCHEMA_PATH="{SCHEMA_PATH}"']
        command += [*WARNINGS.split(), *_msgpack_flags(), *map(str, sources())]
        subprocess.run([*command, *LIBRARIES, "-o", str(made)], check=True)
        made.rename(target)
    return target


@functools.cache
def load() -> ctypes.CDLL:
    """The library."""
    library = ctypes.CDLL(str(build()))
    library.plain_stream_run.restype = ctypes.c_size_t
    library.plain_rig_start.restype = ctypes.c_void_p
    library.plain_rig_start.argtypes = [
        ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint64,
    ]  # fmt: skip
    library.plain_rig_write.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
    library.plain_rig_write.restype = None
    library.plain_rig_finish.argtypes = [ctypes.c_void_p]
    return library
