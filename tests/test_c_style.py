"""The rules of src/README.md that a machine can check, over every C file."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
SOURCES = sorted([*SRC.rglob("*.c"), *SRC.rglob("*.h")])
ALL_C = sorted([*SOURCES, *(ROOT / "tests" / "c").glob("*.[ch]")])
FUNCTION_LINES = 60
FUNCTION_LINES_AT_MOST = 100
FILE_LINES = 500

COMMENT_OR_TEXT = re.compile(
    r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL
)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
BANNED = re.compile(
    r"(?<![\w.>])(_?exit|_Exit|quick_exit|abort|PyErr_Print(?:Ex)?|Py_FatalError|Py_Exit"
    r"|PyErr_WriteUnraisable|PySys_Write\w+|v?printf|puts|putchar|perror|system|popen"
    r"|gets|strcpy|strcat|v?sprintf)\s*\("
    r"|\bstd(?:err|out)\b"
)


def code_of(text: str) -> str:
    """``text`` without comments and literals, every line at its number."""
    return COMMENT_OR_TEXT.sub(
        lambda match: (
            "\n" * match[0].count("\n")
            if match[0].startswith("/")
            else match[0][0] + match[0][0]
        ),
        text,
    )


def read(path: Path) -> str:
    """The file's text."""
    return path.read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    """For the name of a test."""
    return path.relative_to(ROOT).as_posix()


def functions(text: str) -> Iterator[tuple[str, int, int]]:
    """Name, first line and number of lines of each function.

    clang-format puts a function's name and its braces into the first column.
    """
    name, begin, inside = "", 0, False
    for number, line in enumerate(code_of(text).split("\n"), start=1):
        found = re.match(r"(\w+)\(", line)
        if found:
            name, begin = found[1], number
        if name and not inside and line.endswith(";"):
            name = ""  # a declaration
        if line == "{":
            inside = True
        elif line.startswith("}") and name:
            yield name, begin, number - begin + 1
            name, inside = "", False


each_source = pytest.mark.parametrize("path", SOURCES, ids=name_of)
each_header = pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.suffix == ".h"], ids=name_of
)
each_c_file = pytest.mark.parametrize("path", ALL_C, ids=name_of)


def test_the_checks_look_at_the_sources() -> None:
    assert {"plain/wire.h", "trace/value.h", "compat.h"} <= {
        path.relative_to(SRC).as_posix() for path in SOURCES
    }


def test_comments_and_literals_are_no_code() -> None:
    text = 'a("exit(1)"); /* abort();\n */ b(\'"\'); // puts()\nc();'
    assert code_of(text) == "a(\"\"); \n b(''); \nc();"


def test_a_function_is_found_with_its_length() -> None:
    text = "int\ng(int a,\n  int b);\nint\nf(int a)\n{\n    g();\n}\nint x[] = {\n1};\n"
    assert list(functions(text)) == [("f", 5, 4)]


@each_c_file
def test_a_file_opens_with_its_name_and_what_it_is(path: Path) -> None:
    first = read(path).split("\n", 1)[0]
    assert re.match(rf"/\* {re.escape(path.name)} -- \S", first), first


@each_header
def test_a_header_says_threads_owns_and_fails(path: Path) -> None:
    opening = read(path).split("*/", 1)[0]
    for word in ("Threads:", "Owns:", "Fails:"):
        assert word in opening, f"{path.name} does not say {word}"


@each_header
def test_a_header_guards_itself(path: Path) -> None:
    guard = f"KC_{path.stem.upper()}_H"
    text = code_of(read(path))
    assert re.search(rf"#ifndef {guard}\n\s*#define {guard}\b", text), guard


@each_source
def test_nothing_ends_the_process_or_prints(path: Path) -> None:
    text = code_of(read(path))
    found = [
        f"{path.name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0].strip()}"
        for match in BANNED.finditer(text)
    ]
    assert found == []


@each_source
def test_no_code_is_switched_off_and_no_todo_left(path: Path) -> None:
    text = read(path)
    assert not re.search(r"^\s*#\s*if\s+0\b", text, re.MULTILINE)
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)


@each_source
def test_layers_include_only_what_lies_below(path: Path) -> None:
    folder = path.relative_to(SRC).parts[0]
    for bracket, name in INCLUDE.findall(read(path)):
        target = name.split("/")[0] if "/" in name else ""
        ours = bracket == '"'
        if folder == "plain":
            assert name != "Python.h", f"{path.name} includes Python.h"
            assert not ours or target == "plain", f"{path.name} includes {name}"
        elif folder == "session":
            assert not ours or target not in {"trace", "collect"}, name
        elif folder == "trace":
            assert not ours or target != "collect", name
        elif folder == "collect":
            assert not ours or target != "trace", name


@each_source
def test_our_headers_are_named_from_the_top_folder(path: Path) -> None:
    ours = {source.relative_to(SRC).as_posix() for source in SOURCES}
    for bracket, name in INCLUDE.findall(read(path)):
        if bracket == '"':
            assert name in ours, f"{path.name} includes {name}"


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.stem[:6] != "compat"], ids=name_of
)
def test_only_compat_asks_which_python_this_is(path: Path) -> None:
    code = code_of(read(path))
    assert "PY_VERSION_HEX" not in code
    assert "Py_BUILD_CORE" not in code
    private = set(re.findall(r"\b_Py[A-Z]\w*|\b_Py_\w+", code))
    assert private == set(), "private names belong into compat*.h, with the reason"


@each_source
def test_a_visible_name_tells_its_file(path: Path) -> None:
    lines = code_of(read(path)).split("\n")
    for name, begin, _ in functions(read(path)):
        before = " ".join(lines[max(begin - 3, 0) : begin - 1])
        if not re.search(r"\bstatic\b", before):
            assert name.startswith(("kc_", "PyInit_")), f"{path.name}:{begin}: {name}"


@each_source
@pytest.mark.filterwarnings("default")
def test_functions_and_files_are_short(path: Path) -> None:
    text = read(path)
    for name, begin, lines in functions(text):
        where = f"{name_of(path)}:{begin}: {name}() has {lines} lines"
        assert lines <= FUNCTION_LINES_AT_MOST, where
        if lines > FUNCTION_LINES:
            warnings.warn(where, stacklevel=1)
    if text.count("\n") > FILE_LINES:
        warnings.warn(f"{name_of(path)} has {text.count(chr(10))} lines", stacklevel=1)


CANNOT_FAIL = frozenset(
    """
    memchr memcmp memcpy memset strchr strcmp strcspn strlen strncmp strnlen strrchr
    strspn strstr strtoull snprintf sigemptyset bsearch qsort getpid sigfillset free pthread_self pthread_setname_np
    pthread_mutex_lock pthread_mutex_unlock pthread_mutex_destroy
    pthread_cond_signal pthread_cond_broadcast pthread_cond_timedwait
    pthread_cond_destroy pthread_condattr_destroy pthread_attr_destroy pthread_join
    pthread_sigmask clock_gettime fabs signbit
    """.split()
)
DOES_NOT_MATTER = {
    "access": "a question; what follows says what is wrong",
    "close": "nothing was written that SQLite or the mapping has not",
    "closedir": "as close",
    "fsync": "a power cut may find less of a copy",
    "madvise": "advice",
    "munmap": "frees",
    "opendir": "of retention: without it nothing is removed",
    "readdir": "as opendir",
    "raise": "comes again by itself",
    "sigaction": "a cause less is said",
    "signal": "as sigaction",
    "unlink": "tidies up; what stays is removed or recovered by the next command",
    "pthread_attr_setstacksize": "the usual stack is larger",
    "pthread_cond_timedwait_relative_np": "macOS; as pthread_cond_timedwait",
}


def test_each_call_of_the_plain_part_that_may_fail_is_refused_by_a_test() -> None:
    """tests/c/test_fault.c and test_fault_disk.c refuse what the Makefile lists, one
    call after the other; SQLite's own calls are refused below SQLite."""
    makefile = read(ROOT / "tests" / "c" / "Makefile").replace("\\\n", " ")
    faults = set(re.search(r"^FAULTS := (.*)$", makefile, re.MULTILINE)[1].split())
    texts = [code_of(read(path)) for path in (SRC / "plain").glob("*.[ch]")]
    ours = {name for text in texts for name in re.findall(r"^(\w+)\(", text, re.M)}
    called = {
        name
        for text in texts
        for name in re.findall(r"(?<![\w.>])([a-z][a-z0-9_]*) ?\(", text)
        if not re.match(
            r"kc_|sqlite3_|atomic_|msgpack_|__|u?int\d|sizeof|offsetof", name
        )
    }
    language = {"if", "for", "while", "switch", "return", "void", "bool", "defined"}
    language |= {"char"}  # of a pointer to arrays
    language |= {"vector_size"}  # an attribute
    unknown = called - ours - faults - CANNOT_FAIL - set(DOES_NOT_MATTER) - language
    assert unknown == set()
    assert faults - {"free"} <= called | {"ZSTD_createCCtx"}
