"""Rows are counted in whatever way a program fetches them, through each driver."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.integration.plugins.recording import Recorded, record
from tests.integration.plugins.test_sql_drivers import LOGIN, login

WAY = re.compile(r"/\* (\w+) \*/")
SEVEN = 'def seven(way):\n    return f"SELECT n FROM {SEVEN} /* {way} */"\n'


def ways(recorded: Recorded) -> dict[str, dict[str, Any]]:
    """Each statement's fields by the word in its comment, of which there is one record,
    at the line of the program that has that word."""
    lines = (recorded.traced.store.parent / "program.py").read_text().splitlines()
    found: dict[str, dict[str, Any]] = {}
    for event in recorded.events("sql"):
        said = event.to_dict()
        word = WAY.search(said["fields"]["text"])
        if word is not None:
            assert word[1] not in found, f"two records of {word[1]}"
            assert f'"{word[1]}"' in lines[said["line"] - 1]
            assert event.duration_ns > 0
            found[word[1]] = said["fields"]
    return found


def check(recorded: Recorded, apart: bool = True, **rows: int) -> None:
    """How many were fetched of each; the first five are there, and how long it took."""
    found = ways(recorded)
    assert {word: at.get("rows") for word, at in found.items()} == rows
    for word, at in found.items():
        first = [[n + 1] for n in range(min(at["rows"], 5))]
        assert at["rows_sample"] == first and at["columns"] == ["n"], word
        if apart:
            assert at["fetch_ns"] > 0, word


def operations(recorded: Recorded) -> list[str]:
    return [at["operation"] for at in recorded.fields("sql")]


PSYCOPG = """
import asyncio, psycopg
from psycopg.rows import dict_row

def main():
    db = psycopg.connect(**login)
    cursor = db.cursor()
    cursor.execute(seven("one")), print(cursor.fetchone(), cursor.fetchmany(2))
    cursor.execute(seven("rest")), print(cursor.fetchone(), cursor.fetchall())
    print(list(cursor.execute(seven("iterated"))))
    for row in cursor.execute(seven("left")):
        if row == (3,):
            break
    print(list(cursor.stream(seven("streamed"))))
    for row in cursor.stream(seven("stopped")):
        if row == (3,):
            break
    print(list(db.cursor(row_factory=dict_row).execute(seven("as_dict"))))
    with db.cursor("named") as named:
        named.execute(seven("named")), print(named.fetchone(), list(named))
    with cursor.copy("COPY (SELECT 9) TO STDOUT") as copy:
        print([bytes(part) for part in copy])
    cursor.executemany("SELECT %s AS several", [(1,), (2,)], returning=True)
    print(cursor.fetchall(), cursor.nextset(), cursor.fetchall())
    db.commit(), db.close()

async def later():
    db = await psycopg.AsyncConnection.connect(**login)
    cursor = await db.execute(seven("one_later"))
    print(await cursor.fetchone(), await cursor.fetchmany(2))
    cursor = await db.execute(seven("iterated_later"))
    print([row async for row in cursor])
    print([row async for row in cursor.stream(seven("streamed_later"))])
    async with cursor.copy("COPY (SELECT 8) TO STDOUT") as copy:
        print([bytes(part) async for part in copy])
    await db.rollback()
    await db.close()

main()
asyncio.run(later())
"""


@pytest.mark.parametrize(
    ("core", "variant"), [("c", "binary"), ("c", "python"), ("python", "binary")]
)
def test_psycopg(core, variant, postgresql_server, tmp_path: Path):
    found = login(postgresql_server)
    found["LOGIN"] = found["LOGIN"].replace('"database"', '"dbname"')
    recorded = record(
        tmp_path,
        LOGIN + "SEVEN = 'generate_series(1, 7) AS n'\n" + SEVEN + PSYCOPG,
        core=core, env={**found, "PSYCOPG_IMPL": variant},
    )  # fmt: skip
    check(
        recorded, one=3, rest=7, iterated=7, left=3, streamed=7, stopped=3, as_dict=7,
        named=7, one_later=3, iterated_later=7, streamed_later=7,
    )  # fmt: skip
    assert operations(recorded).count("COPY") == 2
    assert operations(recorded).count("BEGIN") == 2
    assert operations(recorded)[-1] == "ROLLBACK" and "COMMIT" in operations(recorded)
    (several,) = [
        event.fields for event in recorded.events("sql") if "several" in str(event)
    ]
    assert several["rows"] == 2 and several["rows_sample"] == [[1], [2]]


def test_values_of_a_stream_are_masked_and_bounded(postgresql_server, tmp_path: Path):
    """They are read from what the server has sent, not from the program's rows."""
    found = login(postgresql_server)
    found["LOGIN"] = found["LOGIN"].replace('"database"', '"dbname"')
    recorded = record(
        tmp_path,
        LOGIN + """
import psycopg
def main():
    db = psycopg.connect(**login)
    secret = "-".join(("tomato", "99"))
    query = "SELECT %s::text AS api_token, 7 AS n, NULL AS none, true AS yes, 0.5::float AS f"
    print(list(db.cursor().stream(query, [secret])))
    print([len(row[0]) for row in db.cursor().stream("SELECT repeat('x', 9000)")])
    print(list(db.cursor().stream("SELECT 'ab'::bytea AS raw", binary=True)))
    db.close()
main()
""",
        env=found,
    )  # fmt: skip
    secret, long, raw = recorded.fields("fetch")
    assert secret["rows_sample"] == [["***", 7, None, True, 0.5]]
    assert not recorded.holds("tomato-99")
    assert len(long["rows_sample"][0][0]) < 110
    assert raw["rows_sample"] == [["<2 bytes>"]]


MYSQL = """
def main():
    db = driver.connect(**login)
    db.begin()
    cursor = db.cursor()
    cursor.execute(seven("one")), print(cursor.fetchone(), cursor.fetchmany(2))
    cursor.execute(seven("rest")), print(cursor.fetchone(), cursor.fetchall())
    cursor.execute(seven("iterated")), print(list(cursor))
    cursor = db.cursor(cursors.DictCursor)
    cursor.execute(seven("as_dict")), print(cursor.fetchall())
    cursor = db.cursor(cursors.SSCursor)
    cursor.execute(seven("unbuffered")), print(cursor.fetchmany(2), list(cursor))
    cursor.execute(seven("whole")), print(cursor.fetchall())
    cursor.execute(seven("lazy")), print(list(lazily(cursor)))
    cursor.close()
    db.rollback()
    cursor = db.cursor()
    cursor.execute("CREATE PROCEDURE pair() BEGIN SELECT 1 AS n; SELECT 2 AS n; END")
    cursor.callproc("pair")
    print(cursor.fetchall(), cursor.nextset(), cursor.fetchall())
    cursor.close()
    db.commit(), db.close()

def lazily(cursor):
    return getattr(cursor, "fetchall_unbuffered", cursor.fetchall)()

main()
"""


@pytest.mark.parametrize(
    ("driver", "core"), [("pymysql", "c"), ("MySQLdb", "c"), ("pymysql", "python")]
)
def test_mysql(driver, core, mariadb_server, tmp_path: Path):
    found = login(mariadb_server)
    recorded = record(
        tmp_path,
        LOGIN + "SEVEN = '(SELECT seq AS n FROM seq_1_to_7) AS t'\n" + SEVEN
        + f"import {driver} as driver\nfrom {driver} import cursors\n" + MYSQL,
        core=core, env=found, same=False,
    )  # fmt: skip
    check(recorded, one=3, rest=7, iterated=7, as_dict=7, unbuffered=7, whole=7, lazy=7)
    assert operations(recorded)[0] == "BEGIN"
    assert operations(recorded)[8:] == ["ROLLBACK", "CREATE", "CALL", "COMMIT"]
    name = json.loads(found["LOGIN"])["database"]
    assert {at["database"] for at in recorded.fields("sql")} == {name}
    called = next(e.fields for e in recorded.events("sql") if "CALL" in str(e))
    assert called["rows_sample"] == [[1], [2]]


ASYNCPG = """
import asyncio, asyncpg, io
async def main():
    db = await asyncpg.connect(**login)
    print(await db.fetch(seven("all")), await db.fetchrow(seven("row")))
    print(await (await db.prepare(seven("prepared"))).fetch())
    async with db.transaction():
        print([row async for row in db.cursor(seven("iterated"), prefetch=2)])
        async for row in db.cursor(seven("left"), prefetch=3):
            break
        cursor = await db.cursor(seven("fetched"))
        print(await cursor.fetch(2), await cursor.fetchrow(), await cursor.fetch(9))
    await db.execute("CREATE TEMP TABLE t (n int)")
    await db.copy_records_to_table("t", records=[(1,), (2,)])
    await db.copy_to_table("t", source=io.BytesIO(b"3\\n"))
    await db.copy_from_query("SELECT n FROM t", output=io.BytesIO())
    await db.close()
asyncio.run(main())
"""


@pytest.mark.parametrize("core", ["c", "python"])
def test_asyncpg(core, postgresql_server, tmp_path: Path):
    """Only of a cursor is fetching a round trip apart from the statement's own."""
    recorded = record(
        tmp_path,
        LOGIN + "SEVEN = 'generate_series(1, 7) AS n'\n" + SEVEN + ASYNCPG,
        core=core, env=login(postgresql_server),
    )  # fmt: skip
    check(
        recorded, apart=False,
        all=7, row=1, prepared=7, iterated=7, left=3, fetched=7,
    )  # fmt: skip
    found = ways(recorded)
    assert found["iterated"]["fetch_ns"] > 0 and found["fetched"]["fetch_ns"] > 0
    copies = [
        at["text"].split(" (")[0].strip()
        for at in recorded.fields("sql")
        if at["operation"] == "COPY"
    ]
    assert copies[0] == "COPY t FROM STDIN" and len(copies) == 3
    created = next(at for at in recorded.fields("sql") if at["operation"] == "CREATE")
    assert "rows" not in created


@pytest.mark.parametrize("core", ["c", "python"])
def test_aiosqlite(core, tmp_path: Path):
    recorded = record(
        tmp_path,
        "SEVEN = 't'\n" + SEVEN + """
import aiosqlite, asyncio
async def main():
    db = await aiosqlite.connect(":memory:")
    await db.execute("CREATE TABLE t (n)")
    await db.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(1, 8)])
    await db.commit()
    cursor = await db.execute(seven("one"))
    print(await cursor.fetchone(), await cursor.fetchmany(2))
    cursor = await db.execute(seven("rest"))
    print(await cursor.fetchone(), await cursor.fetchall())
    async with db.execute(seven("iterated")) as cursor:
        print([row async for row in cursor])
    await db.execute("UPDATE t SET n = 0")
    await db.rollback()
    print(await db.execute_fetchall(seven("at_once")))
    await db.close()
asyncio.run(main())
""",
        core=core,
    )  # fmt: skip
    found = ways(recorded)
    assert "fetch_ns" not in found.pop("at_once")  # one function of the thread's
    assert all(at["fetch_ns"] > 0 for at in found.values())
    check(recorded, apart=False, one=3, rest=7, iterated=7, at_once=7)
    changes = [at for at in recorded.fields("sql") if at["operation"] != "SELECT"]
    assert [at["operation"] for at in changes] == [
        "CREATE", "BEGIN", "INSERT", "COMMIT", "BEGIN", "UPDATE", "ROLLBACK",
    ]  # fmt: skip
    assert [at["operation"] for at in changes if at.get("transaction")] == [
        "INSERT",
        "UPDATE",
    ]


@pytest.mark.parametrize("core", ["c", "python"])
def test_a_script_for_sqlite_commits_and_begins_nothing(core, tmp_path: Path):
    recorded = record(
        tmp_path,
        """
        import sqlite3
        def main():
            db = sqlite3.connect(":memory:")
            db.executescript("CREATE TABLE t (n); CREATE TABLE u (n)")
            db.execute("INSERT INTO t VALUES (1)")
            db.executescript("INSERT INTO t VALUES (2); INSERT INTO u VALUES (3)")
            print(db.in_transaction)
        main()
        """,
        core=core,
    )
    assert operations(recorded) == ["CREATE", "BEGIN", "INSERT", "COMMIT", "INSERT"]


def test_psycopg2_copies(postgresql_server, tmp_path: Path):
    recorded = record(
        tmp_path,
        LOGIN + """
import io, psycopg2
def main():
    db = psycopg2.connect(**login)
    db.autocommit = True
    cursor = db.cursor()
    cursor.execute("CREATE TABLE t (n int)")
    cursor.copy_from(io.StringIO("1\\n2\\n"), "t")
    cursor.copy_expert("COPY t TO STDOUT", io.StringIO())
    out = io.StringIO()
    cursor.copy_to(out, table="t")
    print(out.getvalue())
    db.close()
main()
""",
        env=login(postgresql_server), same=False,
    )  # fmt: skip
    texts = [at["text"] for at in recorded.fields("sql")]
    assert texts[1:] == ["COPY t FROM STDIN", "COPY t TO STDOUT", "COPY t TO STDOUT"]
    assert recorded.traced.stdout == "1\n2\n\n"
