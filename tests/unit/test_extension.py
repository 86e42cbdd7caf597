"""KOLO_C_NO_EXTENSION, and which SQLite a process reads with; sources as C keeps them."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kolo_c.extension import extension_for_reading, import_error
from kolo_c.reference.source import source_copy, source_read

ROOT = Path(__file__).parents[2]
needs_extension = pytest.mark.skipif(bool(import_error()), reason="no extension")


def said(program: str, **environment: str) -> list[str]:
    environ = {name: text for name, text in os.environ.items() if name[:6] != "KOLO_C"}
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, text=True, check=True,
        env={**environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
    )  # fmt: skip
    return answer.stdout.split()


READS = """
import sys
import kolo_c.store.connection, kolo_c.store.compression, kolo_c.store.scan
import kolo_c.core
from kolo_c.store.reader import Store
kolo_c.store.compression._zstd.cache_clear()
print(kolo_c.core.choose_core().name, "kolo_c._kolo" in sys.modules)
"""


@needs_extension
def test_a_process_without_the_extension_never_imports_it():
    assert said(READS, KOLO_C_NO_EXTENSION="1") == ["python", "False"]
    assert said(READS, KOLO_C_NO_EXTENSION="0") == ["c", "True"]
    assert said(READS, KOLO_C_NO_EXTENSION="") == ["c", "True"]


def test_the_reason_names_the_variable(monkeypatch):
    monkeypatch.setenv("KOLO_C_NO_EXTENSION", "1")
    assert import_error() == "KOLO_C_NO_EXTENSION is set"
    assert extension_for_reading() is None


@needs_extension
def test_a_first_look_at_a_text_misses_no_word():
    """Words that are not ASCII were never found: a body was kept as it came."""
    mentions = extension_for_reading().mentions
    assert mentions("{'PASSWORD': 'x'}", ("token", "password"))
    assert mentions("{'пароль': 'x'}", ("token", "пароль"))
    assert not mentions("{'passwor': 'x'}", ("token", "password"))
    assert not mentions("ends with pass", ("pass word", "pass "))
    for before in (
        "",
        "a",
        "ab",
        "naïve ",
        "нет ",
    ):  # wherever it begins, whatever is around
        assert mentions(f"{before}Key", ("token", "key")), before
        assert mentions(f"{before}to.token-", ("token", "key")), before
        assert not mentions(f"{before}ke", ("token", "key")), before
        assert not mentions(f"{before}k-ey tok_en", ("token", "key")), before


@needs_extension
def test_a_process_that_writes_with_python_s_sqlite_reads_with_it():
    program = (
        "import sys; from kolo_c.store.connection import connect\n"
        "def kind():\n"
        "    with connect('/dev/null', 'ro') as c: return type(c).__name__\n"
        "print(kind()); import kolo_c.reference.store; print(kind())\n"
    )
    assert said(program) == ["Connection", "StockConnection"]


class CSource(ctypes.Structure):
    """struct kc_source."""

    _fields_ = (
        ("text", ctypes.POINTER(ctypes.c_char)),
        ("len", ctypes.c_size_t),
        ("mask_count", ctypes.c_uint64),
        ("hash", ctypes.c_char * 33),
        ("note", ctypes.c_char * 64),
    )


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"print(1)\n",
        "# ünïcode\n".encode() * 50,
        b"KEY = 'AKIAIOSFODNN7EXAMPLE'\nurl = 'postgres://me:hunter22@host/db'\n",
        b"-----BEGIN RSA PRIVATE KEY-----\r\nMIIB\r\n-----END RSA PRIVATE KEY-----\r\n",
        bytes(range(256)),
    ],
)
def test_a_source_is_masked_and_hashed_as_in_c(text):
    build_plain = pytest.importorskip("tests.unit.build_plain")
    try:
        plain = build_plain.load()
    except RuntimeError as error:
        pytest.skip(str(error))
    in_c = CSource()
    assert (
        plain.kc_source_copy(ctypes.byref(in_c), text, ctypes.c_size_t(len(text))) == 0
    )
    ours = source_copy(text)
    assert ours.text == in_c.text[: in_c.len]
    assert (ours.hash, ours.mask_count) == (in_c.hash.decode(), in_c.mask_count)
    plain.kc_source_destroy(ctypes.byref(in_c))


def test_a_file_is_kept_only_as_the_program_saw_it(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("x = 1\n")
    about = path.stat()
    name = os.fsencode(path)
    assert source_read(name, about.st_size, about.st_mtime_ns).text == b"x = 1\n"
    for size, changed in ((5, about.st_mtime_ns), (6, about.st_mtime_ns + 1)):
        found = source_read(name, size, changed)
        assert (found.text, found.note) == (None, "changed since the program read it")
    found = source_read(name, 5 << 20, 1)
    assert found.note == "larger than 4194304 bytes"
    assert source_read(b"/nowhere/at/all", 1, 1).note == "not readable (errno 2)"
    assert source_read(b"/nul\0", 1, 1).note == "not readable (errno 2)"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert source_read(os.fsencode(pipe), 0, 0).text is None
