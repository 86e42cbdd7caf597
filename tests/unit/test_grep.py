"""grep: the texts of records, the two scanners, and the command."""

from __future__ import annotations

import io
import json
import math
import os
import random
import re
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kolo_c.cli import grep as grep_command
from kolo_c.cli import main as command_line
from kolo_c.store.matching import Matcher
from kolo_c.store.reader import Store, Trace
from kolo_c.store.scan import KINDS, FastScanner, Query, SlowScanner, scan_trace
from kolo_c.wire import Definition, Kind, Mark, Tag
from tests.unit.store_builder import Owner, ProcessBuilder, pack, tagged

try:
    from kolo_c import _kolo
except ImportError:
    _kolo: Any = None  # type: ignore[no-redef]
needs_extension = pytest.mark.skipif(_kolo is None, reason="no C core")

ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "24"))


# ---- texts ----


def texts_of(values: list[Any], **options: bool) -> list[str]:
    """The texts of ``values`` in a RETURN, as the extension writes them."""
    given = {"numbers": True, "functions": False, **options}
    scan = _kolo.Scan(kinds=0xFFFF, **given)
    text, *_ = scan.walk(pack([int(Kind.RETURN), 0, values]), 1)
    return text.split("\n")[:-1]


@needs_extension
def test_a_double_is_written_as_python_does() -> None:
    chance = random.Random(1)
    values = [0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, 1e22, 1e16, 1e15, 0.1]
    values += [0.0001, 0.00001, 123456789012345.6, 999999999999999.0, 1e-5, 1 / 3]
    values += [sign * 2.0**power for power in range(-1074, 1024) for sign in (1, -1)]
    values += [chance.randrange(10**9) / 10 ** chance.randrange(9) for _ in range(3000)]
    values += [chance.random() * 10.0 ** chance.randrange(-20, 20) for _ in range(3000)]
    bits = (chance.getrandbits(64).to_bytes(8, "little") for _ in range(3000))
    values += [struct.unpack("<d", one)[0] for one in bits]
    unique = list({struct.pack("<d", value): value for value in values}.values())
    for begin in range(0, len(unique), 1000):
        part = unique[begin : begin + 1000]
        assert texts_of(part) == [repr(value) for value in part]


@needs_extension
@given(st.integers(-(2**63), 2**64 - 1))
def test_an_int_is_written_as_python_does(value: int) -> None:
    assert texts_of([value]) == [str(value)]


@needs_extension
@given(st.binary(max_size=40))
def test_bytes_are_written_as_python_does_without_the_quotes(value: bytes) -> None:
    shown = repr(value)
    assert texts_of([value]) == [shown[2:-1].replace("\\'", "'")]


# ---- the two scanners ----


def random_value(chance: random.Random, types: list[int], depth: int = 0) -> Any:
    """Any value that the wire format has."""
    words = ["apple", "user 5", "x" * 40, "", "two\nlines", "é", "\udc80", "None", "5"]
    leaves: list[Any] = [
        None, True, False, 0, 5, -1, 300, 70_000, 2**40, -(2**40), 1.5, 0.1, 1e300,
        math.inf, *words, b"bin\x00", b"", tagged(Tag.MASKED, 5), tagged(Tag.UNBOUND),
        tagged(Tag.BIGINT, (10**30).to_bytes(16, "little", signed=True)),
        tagged(Tag.BIGINT, 90_000), tagged(Tag.COMPLEX, 1.5, -2.0),
        tagged(Tag.RANGE, 0, 5, 2), tagged(Tag.DATETIME, 2026, 1, 2, 3, 4, 5, 6, 0, 3600),
        tagged(Tag.DATETIME, 2026, 1, 2, 3, 4, 5, 0, 0, None),
        tagged(Tag.DATETIME, 2026, 99, 2, 3, 4, 5, 0, 0, None), tagged(Tag.DATE, 2026, 1, 2),
        tagged(Tag.TIME, 1, 2, 3, 0, 0), tagged(Tag.TIMEDELTA, 1, 5, 0),
        tagged(Tag.DECIMAL, "19.99"), tagged(Tag.UUID, bytes(range(16))),
        tagged(Tag.PATH, chance.choice(types), "/tmp/apple"), tagged(Tag.BYTEARRAY, b"ba"),
        tagged(Tag.REF, chance.choice(types), 77), tagged(Tag.CUT_STR, "begin", 4000),
        tagged(Tag.CUT_BYTES, b"begin", 4000), tagged(Tag.CUT, chance.choice(types), 9),
        tagged(Tag.CUT, None, None), tagged(Tag.FUNCTION, "shop.main"),
        tagged(Tag.CLASS, chance.choice(types)), tagged(Tag.MODULE, "shop"),
        tagged(Tag.NDARRAY, chance.choice(types), [2, 300], "float64"),
        tagged(Tag.CYCLE, 1), tagged(Tag.REPR, chance.choice(types), 5, "<it>"),
        tagged(Tag.VIEW, chance.choice(types), 5), tagged(Tag.ERROR, "no memory"),
    ]  # fmt: skip
    if depth > 3 or chance.random() < 0.6:
        return chance.choice(leaves)

    def more() -> Any:
        return random_value(chance, types, depth + 1)

    some = [more() for _ in range(chance.randrange(4))]
    fields = [one for value in some for one in (chance.choice(words[:2]), value)]
    kind = chance.choice(types)
    choices: list[Any] = [
        some, {"key": more(), 5: more()}, tagged(Tag.TUPLE, *some), tagged(Tag.SET, *some),
        tagged(Tag.FROZENSET, *some), tagged(Tag.CUT_ITEMS, 0, 50, *some),
        tagged(Tag.ENUM, kind, "RED", more()), tagged(Tag.DICT, kind, 9, 50, *fields),
        tagged(Tag.OBJECT, kind, 9, *fields), tagged(Tag.NAMEDTUPLE, kind, *fields),
        tagged(Tag.EXCEPTION, kind, 9, tagged(Tag.TUPLE, *some)),
        tagged(Tag.SUBCLASS, kind, 9, more()),
    ]  # fmt: skip
    return chance.choice(choices)


def random_process(chance: random.Random, records: int = 250) -> ProcessBuilder:
    """Two streams with every kind of record."""
    process = ProcessBuilder()
    types = [process.type(f"Kind{number}", "shop") for number in range(3)]
    file = process.file("/app/shop/cart.py")
    names = ("apple", "user")
    codes = [
        process.code(file, name, names[: number % 3], locals=("local", "é"))
        for number, name in enumerate(("main", "Cart.add", "user.get", "<lambda>"))
    ]
    plugin = process.define(Definition.PLUGIN_KIND, "sql", "SQL apple", "blue", "{}")
    trace = process.trace("shop.py")
    for name in ("MainThread", "worker"):
        s = trace.stream(process.thread(name))
        suspended: list[tuple[int, int]] = []
        for _ in range(records):
            random_record(chance, s, codes, types, plugin, suspended)
            if chance.random() < 0.04:
                s.cut()
    trace.end()
    return process


def random_record(
    chance: random.Random, s: Any, codes: list[int], types: list[int], plugin: int,
    suspended: list[tuple[int, int]],
) -> None:  # fmt: skip
    def value() -> Any:
        return random_value(chance, types)

    code = chance.choice(codes)
    what = chance.randrange(17 if s.stack else 3)
    if what < 3:
        s.call(code, *[value() for _ in range(chance.randrange(3))])
    elif what < 5:
        s.ret(value(), *[value() for _ in range(chance.choice([0, 0, 1, 2]))])
    elif what == 5:
        s.raises(chance.choice([None, value()]), 3, *[value()] * chance.randrange(3))
    elif what == 6:
        suspended.append((s.stack[-1][0], code))
        s.yields(value(), 5)
    elif what == 7 and suspended:
        node, code = suspended.pop()
        s.resume(node, code, chance.choice([None, 1, 2]))
    elif what == 8 and suspended:
        node, code = suspended.pop()
        s.record(Kind.THROW, None, node, code, None, value())
        s.stack.append((node, s.block.sequence))
    elif what == 9:
        s.node(Kind.ENTERED, code, 4)
    elif what == 10:
        s.record(Kind.HANDLED, None, chance.randrange(1, s.next_node), value())
    elif what == 11:
        s.record(Kind.TASK, 0)
    elif what == 12:
        s.node(Kind.REGION, "an apple region", {"key": value()})
        if chance.random() < 0.5:
            s.pop(Kind.REGION_END, None)
    elif what == 13:
        s.node(Kind.NOTE, "noted apple", chance.choice([None, {"user": value()}]))
        level = chance.choice(["INFO", None, 20])
        site = chance.choice([(), (None,), (4,)])
        s.node(Kind.LOG, level, "shop", "logged user", *site)
    elif what == 14:
        site = chance.choice([None, 5])
        s.node(Kind.PLUGIN, plugin, {"sql": value()}, site)
        if chance.random() < 0.3:
            suspended.append((s.stack[-1][0], plugin))
            s.yields(None, None)
            return
        s.pop(Kind.PLUGIN_END, {"rows": value()}, chance.choice([None, value()]))
    elif what == 15:
        node = chance.choice(s.stack)[0]
        thread, offset = chance.choice([None, None, 2]), chance.choice([None, 5, 5])
        s.record(Kind.CAUGHT, thread, node, 3, offset, value())
    else:
        depth = chance.choice([None, len(s.stack) // 2])
        s.mark(Mark.LOST, 3, depth)


SEARCHES = [
    ".", "", "apple", "user", "5", "Kind1", "shop", r"\d{3,}", "None|True", "^5$", "é",
    "main", "local", "x{30}", r"1\.5", "2026-01", "0000", "two", r"two\slines", "zzz",
    "float64", "SQL", "<it>", "begin", r"\\x00", "(?i)APPLE", "inf", "19.99", "1 day",
    "logged", "INFO", "region", "(?<!s)hop", "cart.py", "Cart",
]  # fmt: skip


def both(trace: Trace, query: Query, limit: int = 10_000) -> list[list[Any]]:
    """What each of the two scanners finds."""
    return [
        [
            (found.total, [(hit.block, hit.raw) for hit in found.hits], found.calls,
             found.damaged)
            for found in scan_trace(Trace(trace.info), query, scanner, limit)
        ]
        for scanner in (FastScanner(query, _kolo), SlowScanner(query))
    ]  # fmt: skip


@needs_extension
@pytest.mark.parametrize("seed", range(ROUNDS // 4))
def test_with_and_without_the_extension_the_hits_are_the_same(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    process = random_process(chance)
    blocks = process.blocks()
    if seed % 3 == 0:  # some are missing
        blocks = [block for block in blocks if chance.random() < 0.8]
    with Store(process.write(tmp_path, blocks=blocks)) as store:
        trace = store.trace()
        hits = 0
        for pattern in SEARCHES:
            kinds = chance.choice(
                [(), (), ("call",), ("return", "exception"), ("note",)]
            )
            function = chance.choice([None, None, "main", "add", "*.*"])
            query = Query(Matcher(pattern), kinds, function)
            fast, slow = both(trace, query)
            assert fast == slow, (pattern, kinds, function)
            hits += sum(found[0] for found in fast)
        assert hits > 100


def test_the_random_values_are_of_every_tag() -> None:
    chance = random.Random(1)
    seen: set[int] = set()

    def look(value: Any) -> None:
        for one in value if isinstance(value, list) else ():
            if isinstance(one, msgpack.ExtType):
                seen.add(one.data[0])
            look(one)

    for _ in range(3000):
        look(random_value(chance, [1]))
    assert seen == set(Tag)


@needs_extension
def test_a_limit_bounds_the_hits_and_not_their_number(tmp_path: Path) -> None:
    process = random_process(random.Random(5))
    with Store(process.write(tmp_path)) as store:
        fast, slow = both(store.trace(), Query(Matcher(".")), 7)
    assert fast == slow
    assert sum(len(found[1]) for found in fast) == 7
    assert sum(found[0] for found in fast) > 300


@needs_extension
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_damaged_blocks_are_searched_up_to_the_damage(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    process = random_process(chance, 120)
    for block in process.blocks():
        if block.data and chance.random() < 0.5:
            for _ in range(chance.choice([1, 1, 5])):
                block.data[chance.randrange(len(block.data))] ^= 1 << chance.randrange(
                    8
                )
        if chance.random() < 0.1:
            del block.data[chance.randrange(len(block.data) + 1) :]
    with Store(process.write(tmp_path)) as store:
        trace = store.trace()
        for pattern in (".", "apple", "5", "main"):
            fast, slow = both(trace, Query(Matcher(pattern)))
            assert len(fast) == len(slow) == len(process.blocks())


@needs_extension
def test_the_cache_of_one_process_is_not_another_ones(tmp_path: Path) -> None:
    """Definition 1 is a type here and a function there."""
    one, other = ProcessBuilder(), ProcessBuilder()
    for process, name in ((one, "first"), (other, "second")):
        code = process.code(process.file("/app/a.py"), name)
        trace = process.trace(name)
        trace.stream(process.thread("MainThread")).call(code)
        trace.end()
        process.write(tmp_path)
    query = Query(Matcher("second"))
    scanner = FastScanner(query, _kolo)
    with Store(tmp_path / ".kolo_c") as store:
        found = {
            info.row.name: sum(
                f.total for f in scan_trace(Trace(info), query, scanner, 9)
            )
            for info in store.traces()
        }
    assert found == {"first": 0, "second": 1}


# ---- the command ----


def grep(
    capsys: pytest.CaptureFixture[str], *words: str, code: int = 0
) -> tuple[list[str], str]:
    """The lines of ``kolo-c grep``, and what it said."""
    assert command_line.main(["grep", *words]) == code
    said = capsys.readouterr()
    return said.out.splitlines(), said.err


def shop(name: str = "shop.py", word: str = "apple", id: str = "") -> ProcessBuilder:
    """A trace with a call, a note, a log line, an exception and a second thread."""
    process = ProcessBuilder()
    file = process.file("/app/shop/cart.py")
    main = process.code(file, "main", ("n",), line=3)
    add = process.code(file, "Cart.add", ("self", "item"), line=40, self_kind=1)
    cart = process.type("Cart", "shop.cart")
    error = process.type("ValueError")
    trace = process.trace(name, id=id)
    s = trace.stream(process.thread("MainThread"))
    s.call(main, 3)
    s.call(add, tagged(Tag.REF, cart, 0x7F00), {"name": word, "price": 19.99})
    s.node(Kind.NOTE, f"a note about {word}", {"size": 7})
    s.node(Kind.LOG, "INFO", "shop", f"logged {word}")
    s.raises(tagged(Tag.EXCEPTION, error, 0x10, tagged(Tag.TUPLE, f"bad {word}")))
    s.ret([1, 2, word])
    other = trace.stream(process.thread("worker"))
    other.call(main, 12345)
    other.ret(word)
    trace.end()
    return process


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with two traces, in the current directory."""
    monkeypatch.chdir(tmp_path)
    shop("old.py", "pear", id="trc_01J9ZD00000000000000000OLD").write(tmp_path)
    newer = shop("new.py", id="trc_01J9ZD00000000000000000NEW")
    newer.traces[0].started_ns += 5_000_000_000
    return newer.write(tmp_path)


@pytest.fixture(params=["extension", "python"])
def scanner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each test that asks for it runs with and without the extension."""
    if request.param == "python":
        monkeypatch.setitem(sys.modules, "kolo_c._kolo", None)
    elif _kolo is None:
        pytest.skip("no C core")
    return str(request.param)


def test_a_hit_is_a_line_that_says_where_and_what(
    store: Path, scanner: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, said = grep(capsys, "apple")
    assert lines == [
        "NEW/2 shop/cart.py:40 Cart.add: item={'name': 'apple', 'price': 19.99}",
        "NEW/3 shop/cart.py:40 Cart.add: note a note about apple",
        "NEW/4 shop/cart.py:40 Cart.add: log logged apple",
        "NEW/2 shop/cart.py:40 Cart.add: ✗ ValueError('bad apple')",
        "NEW/1 shop/cart.py:3 main: → [1, 2, 'apple']",
        "NEW/2.1 shop/cart.py:3 main: → 'apple'",
    ]
    assert "6 hits in 1 of 2 traces, 6 calls searched" in said


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("Cart.add", "OLD/2 shop/cart.py:40 Cart.add: (item={'name'"),
        ("cart.py", "OLD/1 shop/cart.py:3 main: (n=3)"),
        ("^item$", "OLD/2 shop/cart.py:40 Cart.add: item={'name': 'pear'"),
        ("price", "OLD/2 shop/cart.py:40 Cart.add: item={'name': 'pear'"),
        (r"19\.9", "OLD/2 shop/cart.py:40 Cart.add: item={'name': 'pear', 'price': 19"),
        ("ValueError", "OLD/2 shop/cart.py:40 Cart.add: ✗ ValueError('bad pear')"),
        (
            "shop.cart.Cart",
            "OLD/2 shop/cart.py:40 Cart.add: self=<Cart> 'shop.cart.C",
        ),
        ("size", "OLD/3 shop/cart.py:40 Cart.add: note {'size': 7}"),
        ("12345", "OLD/2.1 shop/cart.py:3 main: n=12345"),
    ],
)
def test_names_types_numbers_and_paths_are_found(
    store: Path, scanner: str, capsys: pytest.CaptureFixture[str], pattern: str,
    expected: str,
) -> None:  # fmt: skip
    lines, _ = grep(capsys, pattern, "OLD")
    assert lines[0].startswith(expected)


def test_a_match_deep_in_a_long_value_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    process = ProcessBuilder()
    trace = process.trace("a", id="trc_01J9ZD00000000000000000ONE")
    s = trace.stream(process.thread("MainThread"))
    code = process.code(process.file("/app/a.py"), "f", ("text", "items"))
    s.call(code, "x" * 5000 + "needle" + "y" * 5000, list(range(1000, 1200)))
    trace.end()
    process.write(tmp_path)
    lines, _ = grep(capsys, "needle")
    assert "xxxneedleyyy" in lines[0]
    assert len(lines[0]) < 250
    lines, _ = grep(capsys, "1150")
    assert lines[0].endswith("… '1150'")


class Terminal(io.StringIO):
    """A file that somebody looks at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [40, 70, 200])
def test_on_a_terminal_the_match_is_marked_and_in_sight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    process = ProcessBuilder()
    trace = process.trace("a", id="trc_01J9ZD00000000000000000ONE")
    s = trace.stream(process.thread("MainThread"))
    file = process.file(f"/app/{'folder/' * 9}a.py")
    code = process.code(file, "f", ("text", "values"))
    for text in ("needle", "x" * 300 + "needle" + "y" * 300, "x" * 60 + "needle"):
        s.call(code, text, {"key": text})
        s.ret()
    trace.end()
    process.write(tmp_path)
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert command_line.main(["grep", "needle"]) == 0
    lines = screen.getvalue().splitlines()
    assert len(lines) == 3
    for line in lines:
        assert "\x1b[1;31mneedle\x1b[0m" in line
        assert len(re.sub(r"\x1b\[[\d;]*m", "", line)) <= columns


def test_a_long_search_shows_how_far_it_is(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(grep_command, "_PROGRESS_SECONDS", 0.0)
    assert command_line.main(["grep", "apple"]) == 0
    shown = screen.getvalue().split("\r\x1b[K")
    assert "trace 1 of 2: 2 calls, 5 hits" in shown
    assert shown[-1].startswith("kolo-c: 6 hits in 1 of 2 traces")


def test_nothing_that_is_printed_moves_the_cursor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b[2J\x1b]0;owned\x07\r\x9b31m\u202e"
    monkeypatch.chdir(tmp_path)
    process = shop(f"a{evil}", f"apple{evil}")
    process.code(process.file(f"/app/{evil}"), evil)
    process.write(tmp_path)
    for words in (["apple"], ["-c", "apple"], ["--json", "apple"], ["note"]):
        lines, said = grep(capsys, *words)
        assert lines
        assert all(line.isprintable() for line in [*lines, *said.splitlines()])


def test_only_the_pattern_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command_line.main(["grep"])
    assert capsys.readouterr().err.endswith("are required: PATTERN\n")


def test_exit_codes_are_those_of_grep(
    store: Path, scanner: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert grep(capsys, "nowhere", code=1)[0] == []
    _, said = grep(capsys, "(", code=2)
    assert "'(' is not a regular expression" in said
    _, said = grep(capsys, "a", "XYZ", code=2)
    assert "XYZ" in said
    _, said = grep(capsys, "a", "--kind", "calls", code=2)
    assert "exception" in said
    _, said = grep(capsys, "a", "--db", "nothing.db", code=2)
    assert "nothing.db" in said


def test_kinds_functions_and_traces_narrow_it(
    store: Path, scanner: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def nodes(*words: str, code: int = 0) -> list[str]:
        return [line.split(" ")[0] for line in grep(capsys, *words, code=code)[0]]

    assert nodes("apple", "--kind", "return") == ["NEW/1", "NEW/2.1"]
    assert nodes("apple", "--kind", "note,log") == ["NEW/3", "NEW/4"]
    assert nodes("apple", "--kind", "note", "--kind", "call") == ["NEW/2", "NEW/3"]
    assert nodes("apple", "--function", "add") == ["NEW/2", "NEW/3", "NEW/4", "NEW/2"]
    assert nodes("apple", "--function", "Cart.*", "--kind", "call") == ["NEW/2"]
    assert nodes("apple", "--function", "main") == ["NEW/1", "NEW/2.1"]
    assert nodes("apple|pear", "--kind", "note") == ["NEW/3", "OLD/3"]
    assert nodes("apple|pear", "--kind", "note", "--last", "1") == ["NEW/3"]
    assert nodes("apple|pear", "OLD", "--kind", "note") == ["OLD/3"]
    assert nodes("apple|pear", "OLD", "NEW", "OLD", "--kind", "note") == [
        "NEW/3",
        "OLD/3",
    ]
    assert nodes("apple", "OLD", code=1) == []


def test_a_kind_of_a_plugin_narrows_it_as_well(
    tmp_path: Path,
    scanner: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    process = shop("new.py", id="trc_01J9ZD00000000000000000NEW")
    sql = process.kind("sql", "SQL", "blue", "{sql}")
    http = process.kind("http", "HTTP", "green", "{url}")
    trace = process.trace("seen.py", id="trc_01J9ZD00000000000000000ZZZ")
    s = trace.stream(process.thread("MainThread"))
    s.saw(sql, {"sql": "SELECT apple"}, {"rows": 1})
    s.saw(http, {"url": "/apple"}, {"text": "an apple"})
    s.saw(sql, {"sql": "SELECT pear"}, {"row": "apple"})
    trace.end()
    process.write(tmp_path)

    def nodes(*words: str, code: int = 0) -> list[str]:
        return [line.split(" ")[0] for line in grep(capsys, *words, code=code)[0]]

    assert nodes("apple", "--kind", "sql") == ["ZZZ/1", "ZZZ/3"]
    assert nodes("apple", "--kind", "http") == ["ZZZ/2", "ZZZ/2"]
    assert nodes("apple", "--kind", "sql,note") == ["ZZZ/1", "ZZZ/3", "NEW/3"]
    assert nodes("apple", "--kind", "plugin,sql") == nodes("apple", "--kind", "plugin")
    assert nodes("apple", "--kind", "sql", "--max-hits", "1") == ["ZZZ/1"]
    counted = grep(capsys, "apple", "--kind", "sql", "--count")[0]
    assert [line.split(" ")[1] for line in counted] == ["2"]
    _, said = grep(capsys, "apple", "--kind", "sqll", code=2)
    assert "http, sql" in said


def test_what_is_outside_of_every_function_names_the_plugin_that_saw_it(
    tmp_path: Path,
    scanner: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The fields of every response of Django's were found in ``?:? <code 0>``, and in
    ``<code 27>`` where the request had been suspended: 27 is the plugin's number."""
    monkeypatch.chdir(tmp_path)
    process = ProcessBuilder()
    kind = process.kind("request", "REQUEST", "blue", "{method} {path}")
    trace = process.trace("GET /tree", id="trc_01J9ZD00000000000000000ZZZ")
    s = trace.stream(process.thread("MainThread"))
    s.saw(kind, {"method": "GET", "path": "/tree"}, {"body": "an apple"})
    node = s.plugin(kind, {"method": "PUT", "path": "/tree"})
    s.yields()
    s.resume(node, kind)
    s.log(20, "shop", "one apple")
    s.plugin_end({"body": "an apple"})
    trace.end()
    process.write(tmp_path)
    assert grep(capsys, "apple")[0] == [
        "ZZZ/1 REQUEST GET /tree: {'body': 'an apple'}",
        "ZZZ/3 log one apple",
        "ZZZ/2 REQUEST PUT /tree: {'body': 'an apple'}",
    ]
    *hits, _ = (json.loads(line) for line in grep(capsys, "apple", "--json")[0])
    assert [hit["function"] for hit in hits] == [None, None, None]
    assert grep(capsys, "apple", "--function", "*", code=1)[0] == []


def test_fixed_strings_and_case(
    store: Path, scanner: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert grep(capsys, "a.ple", "-F", code=1)[0] == []
    assert len(grep(capsys, "19.99", "-F")[0]) == 2
    assert grep(capsys, "APPLE", code=1)[0] == []
    assert len(grep(capsys, "APPLE", "-i")[0]) == 6
    assert len(grep(capsys, "-i", "-F", "VALUEERROR")[0]) == 2


def test_counts_and_names_of_traces(
    store: Path, scanner: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, said = grep(capsys, "-c", "apple|19.99")
    assert lines == ["NEW 6 new.py", "OLD 1 old.py"]
    assert "7 hits in 2 of 2 traces" in said
    lines, said = grep(capsys, "-l", "pear")
    assert lines == ["OLD old.py"]
    assert "1 of 2 traces with hits" in said


def test_the_rest_is_counted_when_there_are_too_many(
    store: Path, scanner: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, said = grep(capsys, "apple|pear", "--max-hits", "8")
    assert len(lines) == 8
    assert "12 hits in 2 of 2 traces" in said
    assert "the first 8 are shown (--max-hits 0: all)" in said
    lines, said = grep(capsys, "apple|pear", "--max-hits", "0")
    assert len(lines) == 12
    assert "shown" not in said


def test_json_has_a_hit_a_line_and_the_totals_last(
    store: Path, scanner: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, _ = grep(capsys, "apple", "--json", "--max-hits", "2")
    *hits, last = [json.loads(line) for line in lines]
    assert hits[0] == {
        "trace": "trc_01J9ZD00000000000000000NEW", "thread": 1, "node": 2, "kind": "call",
        "file": "shop/cart.py", "line": 40, "function": "Cart.add", "name": "item",
        "text": "apple", "address": "NEW/2",
    }  # fmt: skip
    assert [hit["kind"] for hit in hits] == ["call", "note"]
    totals = last["totals"]
    assert (totals["hits"], totals["shown"], totals["calls"]) == (6, 2, 6)
    assert totals["traces_with_hits"] == 1


def test_a_running_trace_is_searched_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    scanner: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    process = shop()
    process.ended = False
    blocks = process.blocks()
    blocks[-1].state = 1
    mapping = process.write_mapping(tmp_path, blocks)
    with Owner(mapping):
        lines, _ = grep(capsys, "apple")
    assert len(lines) == 6


def test_damage_is_said_and_the_rest_is_searched(
    store: Path, scanner: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in store.glob("segments/*.db"):
        db = sqlite3.connect(path)
        db.execute("UPDATE block_data SET data = x'c1' WHERE id = 1")
        db.commit()
        db.close()
    lines, said = grep(capsys, "apple")
    assert lines == ["NEW/2.1 shop/cart.py:3 main: → 'apple'"]
    assert "block 0 of thread 1 is damaged" in said
    assert "2 blocks damaged" in said


def test_a_segment_that_cannot_be_read_is_an_error_where_nothing_is_found(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = store / "segments" / "01J9ZD00000000000000000BAD-0.db"
    broken.write_bytes(b"no database" * 1000)
    lines, said = grep(capsys, "apple")
    assert len(lines) == 6
    assert "is not a database" in said
    assert grep(capsys, "nowhere", code=2)[0] == []


def test_ctrl_c_gives_what_was_found_so_far(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = SlowScanner.scan
    seen: list[int] = []

    def interrupted(self: SlowScanner, *args: Any) -> Any:
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return scan(self, *args)

    monkeypatch.setattr(SlowScanner, "scan", interrupted)
    monkeypatch.setitem(sys.modules, "kolo_c._kolo", None)
    lines, said = grep(capsys, "apple|pear", code=130)
    assert len(lines) == 6
    assert "6 hits in 1 of 2 traces" in said
    assert "stopped in trace 2 of 2" in said


def test_a_closed_pipe_ends_quietly(store: Path) -> None:
    program = f"{sys.executable} -m kolo_c grep . --max-hits 0 | head -1"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        ["sh", "-c", program], cwd=store.parent, env=environment, capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_every_kind_has_a_name() -> None:
    named = {kind for kinds in KINDS.values() for kind in kinds}
    assert named == set(Kind) - {Kind.RESUME, Kind.TASK, Kind.MARK}
