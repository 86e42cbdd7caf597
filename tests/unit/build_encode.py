"""Builds and loads `_encode`, the value encoder as a module of its own (encode.c).

One compiler run a source tree and Python: the result is named by a hash of the sources
and kept in the temporary folder.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
WARNINGS = (
    "-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes"
    " -Wmissing-prototypes -Werror"
)


def sources() -> list[Path]:
    """What is compiled."""
    return [
        Path(__file__).with_name("encode.c"),
        *sorted((SRC / "trace").glob("value*.c")),
        SRC / "trace" / "instance.c",
        *sorted((SRC / "plain").glob("mask*.c")),
        SRC / "plain" / "known.c",
    ]


def _msgpack_flags() -> list[str]:
    for name in ("msgpack-c", "msgpack", "msgpackc"):
        found = subprocess.run(
            ["pkg-config", "--cflags", name], capture_output=True, text=True
        )
        if found.returncode == 0:
            return shlex.split(found.stdout)
    raise RuntimeError("msgpack-c is not installed (Debian: libmsgpack-dev)")


def _includes() -> list[str]:
    paths = {sysconfig.get_path("include"), sysconfig.get_path("platinclude")}
    return [flag for path in sorted(paths) for flag in ("-isystem", path)]


def command(compiler: str, target: Path, debug: bool = False) -> list[str]:
    """The compiler's command line."""
    options = ["-shared", "-fPIC", "-std=c11", "-O2", "-g", f"-I{SRC}"]
    if not sysconfig.get_config_var("Py_DEBUG"):
        options.append("-DNDEBUG")
    elif "clang" not in compiler:
        # Debian's debug headers are links: gcc would find the release's pyconfig.h.
        options.append("-fno-canonical-system-headers")
    if debug:
        options.append("-DKOLO_C_DEBUG")
    extra = shlex.split(os.environ.get("KOLO_C_TEST_CFLAGS", ""))
    files = [str(path) for path in sources()]
    return [
        compiler,
        *options,
        *shlex.split(WARNINGS),
        *_includes(),
        *_msgpack_flags(),
        *extra,
        *files,
        "-o",
        str(target),
    ]


def build(debug: bool = False) -> Path:
    """The shared library, made unless one of the same sources is there."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise RuntimeError("no C compiler")
    digest = hashlib.sha256(
        f"{sys.version} {command(compiler, Path(), debug)}".encode()
    )
    headers = [*SRC.rglob("*.h"), Path(__file__)]
    for path in sorted([*sources(), *headers]):
        digest.update(path.read_bytes())
    folder = Path(tempfile.gettempdir()) / f"kolo-c-encode-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"_encode-{digest.hexdigest()[:20]}.so"
    if not target.exists():
        made = target.with_suffix(f".{os.getpid()}")
        subprocess.run(command(compiler, made, debug), check=True)
        made.rename(target)
    return target


def load(debug: bool = False) -> ModuleType:
    """The module `_encode`; with ``debug`` it counts Python frames."""
    spec = importlib.util.spec_from_file_location("_encode", build(debug))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
