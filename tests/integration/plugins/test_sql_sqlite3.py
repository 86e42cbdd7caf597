"""SQL through sqlite3 itself."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.plugins.recording import Recorded, record
from tests.spec.tracing import environment, trace_program

pytestmark = pytest.mark.parametrize("core", ["c", "python"])

PROGRAM = """
import copy, pickle, sqlite3, sys, traceback, warnings


class Mine(sqlite3.Connection):
    def __init__(self, *args, **keywords):
        super().__init__(*args, **keywords)
        self.note = "mine"

    def cursor(self, *args):
        return super().cursor(*args)


class Asking(sqlite3.Cursor):
    def __getattr__(self, name):
        raise AssertionError(name)

    def __setattr__(self, name, value):
        raise AssertionError(name)


class Slotted(sqlite3.Connection):
    __slots__ = ("own",)


class Listed(sqlite3.Cursor):
    def fetchall(self):
        return ["listed", *super().fetchall()]


def made(*args, **keywords):
    return sqlite3.Connection(*args, **keywords)


def main():
    db = sqlite3.connect(":memory:")
    print(type(db), type(db.cursor()), isinstance(db, sqlite3.Connection))
    print(hasattr(db, "__dict__"), repr(sqlite3.connect), sqlite3.connect.__name__)
    with db:
        db.execute("CREATE TABLE fruit (name TEXT, price INT)")
        db.execute("INSERT INTO fruit VALUES (?, ?)", ("apple", 3))
        cursor = db.executemany("INSERT INTO fruit VALUES (?, ?)", [("fig", 5), ("kiwi", 1)])
        print(cursor.rowcount, cursor.connection is db)
    print(db.execute("SELECT name FROM fruit WHERE price > ?", (2,)).fetchall())
    print(db.execute("SELECT count(*) FROM fruit").fetchone())
    for name, price in db.execute("SELECT * FROM fruit"):
        if price == 5:
            break
    cursor = db.cursor()
    cursor.execute("SELECT * FROM fruit WHERE name = :name", {"name": "kiwi"})
    print(cursor.fetchmany(2), cursor.fetchmany(2), cursor.arraysize, cursor.description)
    for wrong in ("SELECT nothing", 7, "SELECT ?"):
        try:
            db.execute(wrong)
        except Exception:
            traceback.print_exc(file=sys.stdout)
    db.row_factory = sqlite3.Row
    row = db.execute("SELECT * FROM fruit").fetchone()
    print(dict(row), copy.copy(tuple(row)), pickle.loads(pickle.dumps(tuple(row))))
    db.row_factory = lambda cursor, row: type(cursor).__name__
    print(db.execute("SELECT 1").fetchone())
    db.row_factory = None
    db.execute("DELETE FROM fruit")
    db.rollback()
    db.create_function("double", 1, double)
    print(db.execute("SELECT double(21)").fetchone())
    print(db.cursor(Listed).execute("SELECT 1").fetchall())
    asking = db.cursor(Asking)
    print(asking.execute("SELECT 'asked'").fetchone(), asking.fetchone())
    db.executescript("BEGIN; INSERT INTO fruit VALUES ('plum', 2); COMMIT;")
    print(len(list(db.iterdump())))
    for factory in (Mine, Slotted, made):
        if sys.version_info < (3, 15):
            other = sqlite3.connect(":memory:", 5.0, 0, "", True, factory)
        else:
            other = sqlite3.connect(":memory:", factory=factory)
        print(type(other).__name__, getattr(other, "note", ""), type(other).__mro__[-2])
        print(other.execute("SELECT 'other'").fetchone())
        other.close()
    for call in (copy.copy, pickle.dumps):
        try:
            call(db)
        except TypeError:
            print("neither copied nor pickled")
    try:
        sqlite3.connect("/nowhere/of/it")
    except sqlite3.Error:
        traceback.print_exc(file=sys.stdout)
    db.close()
    try:
        db.execute("SELECT 1")
    except sqlite3.Error:
        traceback.print_exc(file=sys.stdout)


def double(number):
    return 2 * number


main()
"""


def test_a_program_gets_what_it_gets_without_us(core, tmp_path: Path):
    """Types' names, tracebacks, factories, errors: ``record`` compares what it says."""
    recorded = record(tmp_path, PROGRAM, core=core)
    found = recorded.fields("sql")
    assert {at["system"] for at in found} == {"sqlite"}
    assert {at["database"] for at in found} == {":memory:"}
    assert [at["operation"] for at in found[:6]] == [
        "CREATE", "BEGIN", "INSERT", "INSERT", "COMMIT", "SELECT",
    ]  # fmt: skip
    assert found[2]["params"] == ["apple", 3] and found[2]["transaction"] is True
    assert found[2]["changed"] == 1
    assert found[3]["many"] == 2 and found[3]["params"] == [["fig", 5], ["kiwi", 1]]
    rows = {at["number"]: at for at in recorded.fields("fetch")}
    by_text = {at["text"]: rows.get(at.get("number")) for at in found}
    priced = by_text["SELECT name FROM fruit WHERE price > ?"]
    assert priced["rows"] == 2 and priced["rows_sample"] == [["apple"], ["fig"]]
    assert priced["columns"] == ["name"] and priced["fetch_ns"] > 0
    assert by_text["SELECT count(*) FROM fruit"]["rows"] == 1
    assert by_text["SELECT 'asked'"]["rows"] == 1
    assert by_text["SELECT * FROM fruit WHERE name = :name"]["rows"] == 1
    assert [at["operation"] for at in found if at["operation"] == "ROLLBACK"]
    # A function of the program that SQLite calls is within the statement.
    assert "\n    double(number=21) -> 42\n" in recorded.traced.calls()
    texts = [at["text"] for at in found]
    assert "SELECT 'other'" in texts  # of the factories that can be derived from


def test_a_loop_that_stops_has_the_rows_that_it_took(core, tmp_path: Path):
    recorded = record(
        tmp_path,
        """
        import sqlite3
        def main():
            db = sqlite3.connect(":memory:")
            for (number,) in db.execute("SELECT 1 UNION SELECT 2 UNION SELECT 3"):
                if number == 2:
                    break
        main()
        """,
        core=core,
    )
    (fetch,) = recorded.fields("fetch")
    assert fetch["rows"] == 2 and fetch["rows_sample"] == [[1], [2]]


def test_secret_columns_are_masked_and_rows_bounded(core, tmp_path: Path):
    recorded = record(
        tmp_path,
        """
        import sqlite3
        def main():
            db = sqlite3.connect(":memory:")
            db.execute("CREATE TABLE people (id, name, api_token)")
            secret = "-".join(("tomato", "99"))
            for number in range(9):
                db.execute(
                    "INSERT INTO people VALUES (:id, :name, :t)",
                    {"id": number, "name": "n" * 900, "t": secret},
                )
            rows = db.execute("SELECT id, name FROM people").fetchall()
            rows = db.execute("SELECT id, name AS n, api_token FROM people").fetchall()
            rows = db.execute("SELECT * FROM people").fetchall()
            rows = db.execute(f"SELECT id FROM people WHERE api_token = '{secret}'")
            return len(list(rows))
        main()
        """,
        core=core,
    )
    inserts = [at for at in recorded.fields("sql") if at["operation"] == "INSERT"]
    assert len(inserts) == 9  # these name no column
    bare, named, starred, compared = recorded.fields("fetch")
    assert [row[0] for row in bare["rows_sample"]] == [0, 1, 2, 3, 4]
    assert all(len(row[1]) < 110 for row in bare["rows_sample"])
    assert named["rows_sample"][0] == [0, "***", "***"]
    assert starred["rows_sample"][0][2] == "***"
    assert compared["rows_sample"][0] == [0]
    assert recorded.fields("sql")[-1]["text"].endswith("api_token = ***")


@pytest.mark.parametrize("rows", ["debug", "never"])
@pytest.mark.parametrize("columns", ["name, password", "*"])
def test_what_a_secret_column_holds_is_masked_wherever_a_row_goes(
    core, tmp_path: Path, columns: str, rows: str
):
    """However rows are fetched, how many there are, and whether they are recorded."""
    for number, names in enumerate(("name, note", "name, password")):
        with contextlib.closing(sqlite3.connect(tmp_path / f"{number}.db")) as db:
            db.execute(f"CREATE TABLE account ({names})")
            some = [("ann", f"note{n:03}{number * 'Staple'}") for n in range(120)]
            db.executemany("INSERT INTO account VALUES (?, ?)", some)
            db.commit()
    recorded = record(
        tmp_path,
        f"""
        import sqlite3
        def show(row): return len(row)
        def main(number):
            db = sqlite3.connect(f"{{number}}.db")
            def rows(start):
                return db.execute(
                    "SELECT {columns} FROM account LIMIT 40 OFFSET ?", (start,))
            for row in rows(0): show(row)
            for row in rows(40).fetchall(): show(row)
            for row in iter(rows(80).fetchone, None): show(row)
        if {columns == "*"}: main(0)  # other columns of the same name
        main(1)
        """,
        core=core,
        same=False,
        config={"sql_rows": rows},
    )
    assert not recorded.holds("Staple")
    assert recorded.holds("note039") is (columns == "*")


def test_a_session_in_the_middle_names_who_took_connect_and_puts_it_back(
    core, tmp_path: Path
):
    traced = trace_program(
        tmp_path,
        core,
        "auto",
        """
        import sqlite3, early, kolo_c
        before = sqlite3.connect
        with kolo_c.trace("first"):
            early.ask()
            late = sqlite3.connect(":memory:")
            print(sqlite3.connect is before, late.execute("SELECT 1").fetchone())
        print(sqlite3.connect is before, late.execute("SELECT 1").fetchone())
        """,
        under=(),
        files={
            "early.py": """
            from sqlite3 import connect
            def ask():
                return connect(":memory:").execute("SELECT 2").fetchone()
            """
        },
    )
    recorded = Recorded(traced)
    assert traced.stdout == "False (1,)\nTrue (1,)\n"
    assert [at["text"] for at in recorded.fields("sql")] == ["SELECT 1"]
    said = subprocess.run(
        [sys.executable, "-m", "kolo_c", "doctor", "--trace"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "early took connect from sqlite3" in said.stdout


def test_threads_each_have_their_own_statements(core, tmp_path: Path):
    recorded = record(
        tmp_path,
        """
        import sqlite3, threading
        def work(number):
            db = sqlite3.connect(f"{number}.db")
            for _ in range(20):
                rows = db.execute(f"SELECT {number}").fetchall()
            db.close()
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        """,
        core=core,
    )
    found = recorded.fields("sql")
    assert len(found) == 80
    for at in found:
        assert at["database"] == f"{at['text'].split()[1]}.db"
    numbers = [at["number"] for at in recorded.fields("fetch")]
    assert sorted(numbers) == sorted(at["number"] for at in found)


def test_the_page_of_a_statement_has_what_was_fetched_of_it(core, tmp_path: Path):
    recorded = record(
        tmp_path,
        """
        import sqlite3
        def main():
            db = sqlite3.connect(":memory:")
            print(db.execute("SELECT 'apple' AS fruit, ? AS price", (3,)).fetchall())
        main()
        """,
        core=core,
    )
    (event,) = recorded.events("sql")
    said = subprocess.run(
        [sys.executable, "-m", "kolo_c", "show", event.id],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    shown = [line.split() for line in said.stdout.splitlines()]
    assert ["rows", "1"] in shown
    assert ["rows_sample", "[['apple',", "3]]"] in shown
    assert ["columns", "('fruit',", "'price')"] in shown


def test_what_was_fetched_beside_a_statement_is_in_its_line(core, tmp_path: Path):
    record(
        tmp_path,
        """
        import sqlite3
        def main():
            db = sqlite3.connect(":memory:")
            db.execute("VALUES (1), (2)").fetchall()
            rows = db.execute("VALUES (3)")
            return first(rows)
        def first(rows):
            return list(rows)[0]
        main()
        """,
        core=core,
    )
    shown = {}
    for option in ("", "--no-fold"):
        said = subprocess.run(
            [sys.executable, "-m", "kolo_c", "show", *option.split()],
            cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        shown[option] = said.stdout
    assert "SQL VALUES (1), (2) · 2 rows" in shown[""]
    assert "ROWS 2 rows" not in shown[""] and "ROWS 2 rows" in shown["--no-fold"]
    # Another function fetched these.
    assert "ROWS 1 rows" in shown[""] and "SQL VALUES (3)  " in shown[""]
