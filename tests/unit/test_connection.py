"""Connection: one face for SQLite, whether the extension's copy or Python's answers."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kolo_c.store import connection as module
from kolo_c.store.connection import (
    BUSY,
    CANTOPEN,
    CONSTRAINT,
    MISMATCH,
    MISUSE,
    NOTADB,
    READONLY,
    TOOBIG,
    DatabaseError,
    connect,
    uri_of,
)
from tests.spec.tracing import environment

COUNT_FOR_EVER = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
    "SELECT count(*) FROM n"
)
COUNT_TO = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
    "SELECT i, 'text ' || i, NULL, zeroblob(i % 5) FROM n"
)


@pytest.fixture(params=["extension", "stock"])
def copy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each test that asks for it runs with the extension's SQLite and with Python's."""
    name: str = request.param
    if name == "stock":
        monkeypatch.setattr(module, "_extension", None)
    elif module._extension is None:
        pytest.skip("the extension is not built")
    else:
        _forget_python_writer(monkeypatch)
    return name


@pytest.fixture
def only_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    if module._extension is None:
        pytest.skip("the extension is not built")
    _forget_python_writer(monkeypatch)


def _forget_python_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another test may have loaded it; then Python's sqlite3 would be used."""
    monkeypatch.delitem(sys.modules, module._PYTHON_WRITER, raising=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


HOLD = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("CREATE TABLE t (a)")
database.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[subprocess.Popen[str]]:
    """The file, locked by another process: two copies in one do not see each other's
    locks. Closing the process's input lets go.
    """
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder


@pytest.fixture
def database(copy: str, path: Path) -> Iterator[module.Connection]:
    with connect(path, "rwc", 0.2) as database:
        yield database


def code_of(database: module.Connection, sql: str, values: object = ()) -> int:
    """The code of the error that the statement must end with."""
    with pytest.raises(DatabaseError) as caught:
        database.execute(sql, values)  # type: ignore[arg-type]
    assert str(caught.value)
    return caught.value.code


@pytest.mark.parametrize(
    "value",
    [
        None, 0, -1, 2**63 - 1, -(2**63), True, 0.5, math.inf, "", "é €\x00 end",
        "𝄞" * 5000, b"", b"\x00\xff", bytes(100_000),
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_comes_back_as_it_went_in(database, value):
    ((got,),) = database.execute("SELECT ?", (value,))
    assert got == value
    assert type(got) is (int if value is True else type(value))


def test_a_row_is_a_tuple_and_a_result_a_list(database):
    assert database.execute("SELECT 1, 'a' UNION SELECT 2, 'b'") == [(1, "a"), (2, "b")]
    assert database.execute("SELECT 1 WHERE 0") == []
    assert database.execute("CREATE TABLE t (a)") == []
    assert database.execute("") == []


def test_many_rows_are_all_there(database):
    """They cross in batches."""
    rows = database.execute(COUNT_TO, (50_000,))
    assert len(rows) == 50_000
    for i, text, nothing, blob in (rows[0], rows[2047], rows[2048], rows[-1]):
        assert (text, nothing, blob) == (f"text {i}", None, bytes(i % 5))
    assert [row[0] for row in rows] == list(range(1, 50_001))


def test_text_that_is_no_utf8_is_read_as_well_as_it_can_be(database):
    ((surrogate, broken),) = database.execute(
        "SELECT CAST(x'61eda080' AS TEXT), CAST(x'61ff62' AS TEXT)"
    )
    assert surrogate == "a\ud800"
    assert broken == "a\ufffdb"


def test_a_lone_surrogate_goes_in_as_it_comes_out(only_extension, path):
    with connect(path, "rwc") as database:
        assert database.execute("SELECT ?", ("a\ud800",)) == [("a\ud800",)]


def test_each_statement_commits_alone_unless_a_transaction_is_open(database, path):
    database.execute("CREATE TABLE t (a)")
    database.execute("INSERT INTO t VALUES (1)")
    with connect(path) as other:
        assert other.execute("SELECT count(*) FROM t") == [(1,)]
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO t VALUES (2)")
        assert other.execute("SELECT count(*) FROM t") == [(1,)]
        database.execute("COMMIT")
        assert other.execute("SELECT count(*) FROM t") == [(2,)]


def test_an_open_transaction_is_rolled_back_by_close(database, path):
    database.execute("CREATE TABLE t (a)")
    database.execute("BEGIN")
    database.execute("INSERT INTO t VALUES (1)")
    database.close()
    with connect(path) as other:
        assert other.execute("SELECT count(*) FROM t") == [(0,)]


@pytest.mark.parametrize(
    ("sql", "values", "code"),
    [
        ("SELECT 1; SELECT 2", (), MISUSE),
        ("SELECT 1; nonsense", (), MISUSE),
        ("SELECT ?", (), MISUSE),
        ("SELECT ?", (1, 2), MISUSE),
        ("SELECT ?", ([],), MISMATCH),
        ("SELECT ?", (object(),), MISMATCH),
        ("SELECT ?", (2**63,), TOOBIG),
        ("SELECT ?", (-(2**70),), TOOBIG),
        ("nonsense", (), 1),
        ("SELECT * FROM nowhere", (), 1),
        ("SELECT abs(-9223372036854775808)", (), 1),
    ],
)
def test_what_cannot_be_executed_is_refused(database, copy, sql, values, code):
    if copy == "stock" and sql.endswith("nonsense") and ";" in sql:
        code = MISUSE  # sqlite3 looks no further than the first statement either
    assert code_of(database, sql, values) == code
    assert database.execute("SELECT 1") == [(1,)], "and does no harm"


def test_comments_and_space_after_a_statement_are_no_second_one(database):
    assert database.execute("SELECT 1;  -- and no more\n /* none */") == [(1,)]


def test_an_error_in_the_middle_leaves_no_transaction(database, path):
    database.execute("CREATE TABLE t (a UNIQUE)")
    database.execute("INSERT INTO t VALUES (1)")
    assert code_of(database, "INSERT INTO t VALUES (2), (1)") == CONSTRAINT
    assert database.execute("SELECT a FROM t") == [(1,)]
    with connect(path, "rw") as other:
        other.execute("INSERT INTO t VALUES (3)")


def test_a_closed_connection_says_so(database):
    database.close()
    database.close()
    with pytest.raises(DatabaseError, match="closed") as caught:
        database.execute("SELECT 1")
    assert caught.value.code == MISUSE


def test_modes_allow_what_they_say(copy, path):
    for mode in ("ro", "immutable", "rw"):
        with pytest.raises(DatabaseError) as caught:
            connect(path, mode).execute("SELECT 1 FROM sqlite_master")
        assert caught.value.code == CANTOPEN, mode
    assert not path.exists()
    with connect(path, "rwc") as database:
        database.execute("CREATE TABLE t (a)")
    for mode in ("ro", "immutable"):
        with connect(path, mode) as database:
            assert database.execute("SELECT * FROM t") == []
            assert code_of(database, "INSERT INTO t VALUES (1)") == READONLY
    with connect(path, "rw") as database:
        database.execute("INSERT INTO t VALUES (1)")


@pytest.mark.parametrize(
    "name", ["a?mode=memory", "a#b", "a%20b", "ä b", "a'b", "\udcff"]
)
def test_a_file_may_have_any_name(copy, tmp_path, name):
    path = tmp_path / name
    with connect(path, "rwc") as database:
        database.execute("CREATE TABLE t (a)")
    assert path.is_file()
    with connect(path) as database:
        assert database.execute("SELECT * FROM t") == []


def test_a_relative_path_is_one_from_here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert uri_of("a.db", "ro") == f"file://{tmp_path}/a.db?mode=ro"


def test_what_is_no_database_is_named_so(copy, path):
    path.write_bytes(b"no database at all, " * 100)
    with connect(path) as database:
        assert code_of(database, "SELECT * FROM sqlite_master") == NOTADB


def test_a_locked_file_is_waited_for_so_long_and_no_longer(copy, path):
    with locked(path), connect(path, "rw", 0.3) as database:
        began = time.monotonic()
        assert code_of(database, "INSERT INTO t VALUES (1)") == BUSY
        assert 0.25 < time.monotonic() - began < 10


def test_closing_waits_for_nobody_and_asks_for_no_signal(copy, path):
    """What is left of a log is not folded in while somebody reads; it stays for later."""
    with connect(path, "rwc") as reader, contextlib.ExitStack() as stack:
        reader.execute("PRAGMA journal_mode = WAL")
        reader.execute("CREATE TABLE t (x)")
        writer = connect(path, "rw", 20)
        stack.callback(writer.close)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t")
        writer.execute(f"INSERT INTO t SELECT i FROM ({COUNT_TO})", (9999,))
        began = time.monotonic()
        writer.close()
        assert time.monotonic() - began < 5
        assert reader.execute("SELECT count(*) FROM t") == [(0,)]
    with connect(path) as later:
        assert later.execute("SELECT count(*) FROM t") == [(9999,)]


def test_a_lock_that_is_let_go_is_taken(only_extension, path):
    with locked(path) as holder, connect(path, "rw", 20) as database:
        timer = threading.Timer(0.2, holder.stdin.close)
        timer.start()
        database.execute("INSERT INTO t VALUES (1)")
        timer.join()


def test_other_threads_run_while_it_works(database):
    """The GIL is free: a thread counts meanwhile."""
    counted = 0
    done = threading.Event()

    def count() -> None:
        nonlocal counted
        while not done.is_set():
            counted += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    database.execute(COUNT_TO.replace("SELECT i,", "SELECT max(i),"), (500_000,))
    done.set()
    thread.join()
    assert counted > 10


def test_a_second_thread_at_once_is_refused(database):
    refused: list[DatabaseError] = []
    ready = threading.Barrier(2)

    def use(times: int) -> None:
        ready.wait()
        for _ in range(times):
            try:
                database.execute(COUNT_TO, (20_000,))
            except DatabaseError as error:
                refused.append(error)

    threads = [threading.Thread(target=use, args=(10,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused
    assert {error.code for error in refused} == {MISUSE}
    assert "in use" in str(refused[0])
    assert database.execute("SELECT 1") == [(1,)]


def test_one_thread_after_another_may_use_it(database):
    got: list[object] = []
    for number in range(3):
        thread = threading.Thread(
            target=lambda n=number: got.extend(database.execute("SELECT ?", (n,)))
        )
        thread.start()
        thread.join()
    assert got == [(0,), (1,), (2,)]


class Struck(Exception):
    """What the signal handler raises."""


@pytest.fixture
def alarm() -> Iterator[None]:
    def strike(number: int, frame: object) -> None:
        raise Struck

    before = signal.signal(signal.SIGALRM, strike)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_signal_ends_a_long_query(only_extension, alarm, path):
    with connect(path, "rwc") as database:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        began = time.monotonic()
        with pytest.raises(Struck):
            database.execute(COUNT_FOR_EVER)
        assert time.monotonic() - began < 15
        assert database.execute("SELECT 1") == [(1,)]


def test_a_signal_ends_the_wait_for_a_lock(only_extension, alarm, path):
    with locked(path), connect(path, "rw", 30) as database:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        began = time.monotonic()
        with pytest.raises(Struck):
            database.execute("INSERT INTO t VALUES (1)")
        assert time.monotonic() - began < 15


def test_a_handler_that_only_looks_ends_nothing(only_extension, path):
    seen: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda *args: seen.append(1))
    try:
        with connect(path, "rwc") as database:
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
            rows = database.execute(COUNT_TO, (400_000,))
            signal.setitimer(signal.ITIMER_REAL, 0)
        assert len(rows) == 400_000
        assert seen
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_handler_cannot_use_the_connection_that_it_interrupts(only_extension, path):
    said: list[str] = []
    database = connect(path, "rwc")

    def strike(number: int, frame: object) -> None:
        for use in (database.close, lambda: database.execute("SELECT 1")):
            try:
                use()
            except DatabaseError as error:
                said.append(str(error))
        raise Struck

    before = signal.signal(signal.SIGALRM, strike)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Struck):
            database.execute(COUNT_FOR_EVER)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(said) == 2
    assert "in use" in said[0]
    assert database.execute("SELECT 1") == [(1,)]
    database.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_leaves_it_alone(only_extension, path):
    """The locks are the parent's: not even closing may touch them."""
    with connect(path, "rwc") as database:
        database.execute("CREATE TABLE t (a)")
        database.execute("BEGIN IMMEDIATE")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                database.execute("SELECT 1")
            except DatabaseError as error:
                code = 0 if "fork" in str(error) else 2
            database.close()
            del database
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        with connect(path, "rw", 0) as other:
            assert code_of(other, "BEGIN IMMEDIATE") == BUSY
        database.execute("INSERT INTO t VALUES (1)")
        database.execute("COMMIT")


def test_schemas_of_strangers_run_nothing(database, copy):
    """A view may call functions with effects where the schema is trusted."""
    database.execute("CREATE VIEW v AS SELECT load_extension('x')")
    with pytest.raises(DatabaseError):
        database.execute("SELECT * FROM v")


def test_wrong_arguments_are_refused(only_extension):
    extension = module._extension
    for arguments in ((), ("a",), (1, 2), ("a\0b", 1), ("a", "b"), ("a", 2**40)):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            extension.Connection(*arguments)
    database = extension.Connection(":memory:", timeout_ms=-5)
    for arguments in ((), (1,), ("a\0b",), ("SELECT 1", 5), ("SELECT 1", (), ())):
        with pytest.raises((TypeError, ValueError)):
            database.execute(*arguments)
    with pytest.raises(UnicodeError):
        database.execute("SELECT '\ud800'")
    database.close()


def test_an_exception_in_the_values_comes_through(only_extension):
    class Values:
        def __iter__(self) -> Iterator[object]:
            yield 1
            raise Struck

    with (
        module._extension.Connection(":memory:", 0) as database,
        pytest.raises(Struck),
    ):
        database.execute("SELECT ?, ?", Values())


def test_the_extension_does_without_python_s_sqlite3(only_extension, path):
    program = (
        "import sys\n"
        "from kolo_c.store.connection import connect\n"
        "print(connect(sys.argv[1], 'rwc').execute('SELECT 1'))\n"
        "print({'sqlite3', 'urllib.parse'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "[(1,)]\nset()\n"


def test_without_the_extension_the_error_is_a_class_of_our_own():
    program = (
        "import sys; sys.modules['kolo_c._kolo'] = None\n"
        "from kolo_c.store.connection import DatabaseError, connect\n"
        "try: connect('/nowhere/at/all')\n"
        "except DatabaseError as error: print(type(error).__module__, error.code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"kolo_c.store.connection {CANTOPEN}\n"


def test_without_any_sqlite_the_next_step_is_said():
    program = (
        "import sys; sys.modules['kolo_c._kolo'] = sys.modules['sqlite3'] = None\n"
        "from kolo_c.store.connection import connect\n"
        "from kolo_c.errors import KoloError\n"
        "try: connect('/nowhere/at/all')\n"
        "except KoloError as error: print(error.name, 'wheel' in error.hint)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "no-sqlite True\n"


IN_A_SUBINTERPRETER = """
try: import _interpreters as interpreters
except ImportError: import _xxsubinterpreters as interpreters
run = getattr(interpreters, 'exec', None) or interpreters.run_string
code = '''
import sys
from kolo_c.store.connection import DatabaseError, connect
database = connect(sys.argv[1], 'rwc')
database.execute('CREATE TABLE IF NOT EXISTS t (a)')
database.execute('INSERT INTO t VALUES (?)', (1,))
try: database.execute('nonsense')
except DatabaseError as error: assert error.code == 1
else: raise AssertionError
'''
from kolo_c.store.connection import connect
database = connect(__import__('sys').argv[1], 'rwc')
for _ in range(3):
    number = interpreters.create()
    argv = repr(__import__('sys').argv)
    failed = run(number, f'import sys; sys.argv = {argv}' + code)
    assert failed is None, failed.formatted
    interpreters.destroy(number)
print(database.execute('SELECT count(*) FROM t'))
"""


def test_each_interpreter_has_connections_of_its_own(only_extension, path):
    try:
        __import__(
            "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
        )
    except ImportError:
        pytest.skip("this Python has no subinterpreters for Python code")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IN_A_SUBINTERPRETER, path],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("[(3,)]\n", "")
