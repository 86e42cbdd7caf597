"""SQL through the drivers of PostgreSQL and MySQL, and SQLAlchemy and aiosqlite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.plugins.recording import Recorded, record
from tests.servers import Server
from tests.test_documentation import ROOT, typed

LOGIN = "import json, os; login = json.loads(os.environ['LOGIN'])\n"


def login(server: Server, **more: object) -> dict[str, str]:
    """How the program reaches a new database: in a variable."""
    found = {**server.login, "database": server.fresh_database(), **more}
    return {"LOGIN": json.dumps(found)}


def told(recorded: Recorded) -> list[tuple[str, int | None]]:
    """Each statement's operation, and how many rows were fetched of it."""
    rows: dict[int, int] = {}
    for at in recorded.fields("fetch"):
        rows[at["number"]] = rows.get(at["number"], 0) + at["rows"]
    return [
        (at["operation"], at.get("rows", rows.get(at.get("number", 0))))
        for at in recorded.fields("sql")
    ]


def one(recorded: Recorded, word: str) -> dict:
    """The statement in whose text there is this word, and what was fetched of it."""
    (found,) = [at for at in recorded.fields("sql") if word in at["text"]]
    for at in recorded.fields("fetch"):
        if at["number"] == found.get("number"):
            found = {**at, **found}
    return found


DBAPI = """
    with db.cursor() as cursor:
        cursor.execute("CREATE TABLE fruit (name TEXT, price INT)")
        cursor.executemany(
            "INSERT INTO fruit VALUES (%s, %s)", [("apple", 3), ("fig", 5), ("kiwi", 1)]
        )
    db.commit()
    with db.cursor() as cursor:
        cursor.execute("SELECT name FROM fruit WHERE price > %s ORDER BY 1", (2,))
        print(cursor.fetchall())
        cursor.execute("SELECT count(*) FROM fruit")
        print(cursor.fetchone())
        cursor.execute("SELECT name FROM fruit ORDER BY 1")
        for row in cursor:
            print(row)
        cursor.execute("SELECT name, price FROM fruit ORDER BY 1")
        print(cursor.fetchmany(2), cursor.fetchone(), cursor.fetchone())
        try:
            cursor.execute("SELECT nothing")
        except Exception as error:
            print(type(error))
    db.rollback()
    with db.cursor() as cursor:
        cursor.execute("UPDATE fruit SET price = 9 WHERE name = %s", ("fig",))
        cursor.execute(
            "SELECT name AS password FROM fruit WHERE name = %s", ("-".join("fig"),)
        )
        cursor.fetchall()
    db.commit()
    db.close()
"""


def check(recorded: Recorded, system: str, begins: int) -> None:
    """What DBAPI did."""
    found = told(recorded)
    assert [at for at in found if at[0] != "BEGIN"] == [
        ("CREATE", None), ("INSERT", None), ("COMMIT", None),
        ("SELECT", 2), ("SELECT", 1), ("SELECT", 3), ("SELECT", 3),
        ("SELECT", None), ("ROLLBACK", None),
        ("UPDATE", None), ("SELECT", 0), ("COMMIT", None),
    ]  # fmt: skip
    # psycopg sends it within the first statement, psycopg2 with it.
    assert [at[0] for at in found].count("BEGIN") == begins
    assert {at["system"] for at in recorded.fields("sql")} == {system}
    found = one(recorded, "price > ")
    assert found["params"] == [2] and found["columns"] == ["name"]
    assert found["rows_sample"] == [["apple"], ["fig"]] and found["fetch_ns"] > 0
    assert one(recorded, "INSERT")["many"] == 3
    assert one(recorded, "UPDATE")["changed"] == 1
    assert one(recorded, "password")["params"] == ["***"]
    assert not recorded.holds("f-i-g")


@pytest.mark.parametrize(
    ("core", "variant"), [("c", "binary"), ("c", "python"), ("python", "binary")]
)
def test_psycopg(core, variant, postgresql_server, tmp_path: Path):
    found = login(postgresql_server)
    found["LOGIN"] = found["LOGIN"].replace('"database"', '"dbname"')
    found["PSYCOPG_IMPL"] = variant
    recorded = record(
        tmp_path,
        LOGIN + "import psycopg\ndef main():\n    db = psycopg.connect(**login)\n"
        + DBAPI + "main()\n",
        core=core, env=found, same=False,
    )  # fmt: skip
    check(recorded, "postgresql", 3)
    assert {at["database"] for at in recorded.fields("sql")} == {
        json.loads(found["LOGIN"])["dbname"]
    }


@pytest.mark.parametrize("core", ["c", "python"])
def test_psycopg2(core, postgresql_server, tmp_path: Path):
    found = login(postgresql_server)
    recorded = record(
        tmp_path,
        LOGIN + "import psycopg2\ndef main():\n    db = psycopg2.connect(**login)\n"
        + DBAPI + "main()\n",
        core=core, env=found, same=False,
    )  # fmt: skip
    check(recorded, "postgresql", 3)
    assert {at["database"] for at in recorded.fields("sql")} == {
        json.loads(found["LOGIN"])["database"]
    }


@pytest.mark.parametrize("driver", ["pymysql", "MySQLdb"])
def test_mysql(driver, mariadb_server, tmp_path: Path):
    recorded = record(
        tmp_path,
        LOGIN + f"import {driver}\ndef main():\n    db = {driver}.connect(**login)\n"
        + DBAPI + "main()\n",
        env=login(mariadb_server), same=False,
    )  # fmt: skip
    check(recorded, "mysql", 0)


def test_psycopg2_gives_a_program_what_it_gives_without_us(
    postgresql_server, tmp_path: Path
):
    """``record`` compares what it prints with what it prints alone."""
    recorded = record(
        tmp_path,
        LOGIN + """
import copy, pickle, sys, traceback
from psycopg2 import connect, extensions, extras, sql

class Mine(extensions.connection):
    def __init__(self, *args, **keywords):
        super().__init__(*args, **keywords)
        self.note = "mine"

def main():
    db = connect(**login)
    db.autocommit = True
    print(type(db), type(db.cursor()), isinstance(db, extensions.connection))
    extras.register_default_jsonb(db)
    extras.register_uuid(conn_or_curs=db)
    extras.register_hstore
    extensions.register_type(extensions.UNICODE, db)
    extensions.register_type(extensions.UNICODE, db.cursor())
    print(extensions.quote_ident("a b", db), extensions.quote_ident("c", db.cursor()))
    cursor = db.cursor(cursor_factory=extras.RealDictCursor)
    cursor.execute("SELECT 1 AS one, '{\\"a\\": 2}'::jsonb AS two")
    row = cursor.fetchone()
    print(type(cursor), row, pickle.loads(pickle.dumps(row)), copy.copy(row))
    with db.cursor(cursor_factory=extras.NamedTupleCursor) as cursor:
        cursor.execute(sql.SQL("SELECT {} FROM {}").format(
            sql.Identifier("tablename"), sql.Identifier("pg_tables")) + sql.SQL(" LIMIT 1"))
        print(cursor.fetchall())
        print(cursor.mogrify("%s", ("x",)), cursor.query)
        extras.execute_values(cursor, "SELECT * FROM (VALUES %s) t", [(1,), (2,)])
        print(cursor.fetchall())
    other = connect(connection_factory=Mine, **login)
    print(type(other), other.note)
    with other, other.cursor("named") as cursor:
        cursor.execute("SELECT generate_series(1, 5)")
        print(list(cursor))
    try:
        db.cursor().execute("SELECT nothing")
    except Exception:
        traceback.print_exc(file=sys.stdout)
    try:
        connect(host="127.0.0.1", port=1)
    except Exception as error:
        print(type(error), len(traceback.extract_tb(error.__traceback__)))
    db.close(), other.close()
main()
""",
        env=login(postgresql_server),
    )  # fmt: skip
    texts = [at["text"] for at in recorded.fields("sql")]
    assert 'SELECT "tablename" FROM "pg_tables" LIMIT 1' in texts
    assert told(recorded).count(("SELECT", 5)) == 1  # of the named cursor
    assert "BEGIN" in texts and "COMMIT" in texts


ASYNC = """
import asyncio
async def work(number):
    {body}
async def main():
    await asyncio.gather(*[work(number) for number in range(5)])
asyncio.run(main())
"""


def check_tasks(recorded: Recorded) -> None:
    """Five tasks at once: each statement once, with its own row."""
    found = [at for at in recorded.fields("sql") if at["operation"] == "SELECT"]
    assert sorted(at["params"] for at in found) == [[n] for n in range(5)]
    fetched = {at["number"]: at for at in recorded.fields("fetch")}
    for at in found:
        rows = {**at, **fetched.get(at.get("number"), {})}
        assert rows["rows"] == 1 and rows["rows_sample"] == [at["params"]]


def test_psycopg_composed_streamed_and_piped(postgresql_server, tmp_path: Path):
    found = login(postgresql_server)
    found["LOGIN"] = found["LOGIN"].replace('"database"', '"dbname"')
    recorded = record(
        tmp_path,
        LOGIN + """
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

def main():
    db = psycopg.connect(autocommit=True, row_factory=dict_row, **login)
    query = sql.SQL("SELECT {} AS {} WHERE {} > %s").format(1, sql.Identifier("a b"), 5)
    print(db.execute(query, [2]).fetchone())
    with db.pipeline():
        first = db.execute("SELECT 7 AS seven")
        second = db.execute(b"SELECT 8 AS eight")
        print(first.fetchone(), second.fetchall())
    with db.transaction(), db.transaction():
        db.execute("SELECT 9")
    try:
        with db.transaction():
            db.execute("SELECT 1 / 0")
    except psycopg.Error as error:
        print(error)
    print([row for row in db.cursor().stream("SELECT generate_series(1, %s)", [3])])
main()
""",
        env=found,
    )  # fmt: skip
    texts = [at["text"] for at in recorded.fields("sql")]
    assert 'SELECT %s AS "a b" WHERE %s > %s' in texts
    assert "SELECT generate_series(1, %s)" in texts
    assert one(recorded, "seven")["rows_sample"] == [[7]]
    assert one(recorded, "eight")["rows"] == 1
    words = [at["operation"] for at in recorded.fields("sql")]
    assert words[-9:-1] == [
        "BEGIN", "SAVEPOINT", "SELECT", "RELEASE", "COMMIT",
        "BEGIN", "SELECT", "ROLLBACK",
    ]  # fmt: skip


def test_psycopg_async_and_server_side(postgresql_server, tmp_path: Path):
    found = login(postgresql_server)
    found["LOGIN"] = found["LOGIN"].replace('"database"', '"dbname"')
    body = """db = await psycopg.AsyncConnection.connect(**login)
    async with db.transaction():
        cursor = await db.execute("SELECT %s::int", [number])
        print(await cursor.fetchall())
        async with db.cursor("named") as cursor:
            await cursor.execute("VALUES (1), (2), (3)")
            print([row async for row in cursor])
    await db.close()"""
    recorded = record(
        tmp_path,
        LOGIN + "import psycopg\n" + ASYNC.format(body=body),
        env=found, same=False,
    )  # fmt: skip
    check_tasks(recorded)
    assert sorted(told(recorded)) == sorted(
        [("BEGIN", None), ("SELECT", 1), ("VALUES", 3), ("COMMIT", None)] * 5,
        key=lambda at: (at[0], at[1] or 0),
    )


@pytest.mark.parametrize("core", ["c", "python"])
def test_asyncpg(core, postgresql_server, tmp_path: Path):
    body = """db = await asyncpg.connect(**login)
    print(await db.fetch("SELECT $1::int AS n", number))
    async with db.transaction():
        await db.execute("CREATE TEMP TABLE t (n int)")
        await db.executemany("INSERT INTO t VALUES ($1)", [(1,), (2,)])
        await db.execute("INSERT INTO t VALUES ($1)", 3)
        prepared = await db.prepare("VALUES ($1::int)")
        print(await prepared.fetchval(7))
    await db.close()"""
    recorded = record(
        tmp_path,
        LOGIN + "import asyncpg\n" + ASYNC.format(body=body),
        env=login(postgresql_server), core=core, same=False,
    )  # fmt: skip
    check_tasks(recorded)
    operations = sorted(at["operation"] for at in recorded.fields("sql"))
    assert operations == sorted(
        ["SELECT", "BEGIN", "CREATE", "INSERT", "INSERT", "VALUES", "COMMIT"] * 5
    )


@pytest.mark.parametrize("core", ["c", "python"])
def test_aiosqlite(core, tmp_path: Path):
    body = """db = await aiosqlite.connect(":memory:")
    async with db.execute("SELECT ? AS n", (number,)) as cursor:
        print([row async for row in cursor])
    await db.execute("CREATE TABLE t (n)")
    await db.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
    await db.commit()
    print(await db.execute_fetchall("VALUES (1), (2)"))
    await db.close()"""
    recorded = record(
        tmp_path, "import aiosqlite\n" + ASYNC.format(body=body), core=core, same=False
    )
    check_tasks(recorded)
    assert [at for at in told(recorded) if at[0] == "VALUES"] == [("VALUES", 2)] * 5
    inserts = [at for at in recorded.fields("sql") if at["operation"] == "INSERT"]
    assert [at["changed"] for at in inserts] == [2] * 5
    assert [at[0] for at in told(recorded)].count("COMMIT") == 5


SQLALCHEMY = """
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

class Base(DeclarativeBase):
    pass

class Fruit(Base):
    __tablename__ = "fruit"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20))

def use(session):
    session.add_all([Fruit(name="apple"), Fruit(name="fig")])
    session.commit()
    print(session.scalars(sa.select(Fruit.name).order_by(Fruit.name)).all())
    print(session.execute(sa.text("SELECT name FROM fruit WHERE id > :n"), {"n": 1}).all())
    session.rollback()
"""


@pytest.mark.parametrize(
    "driver", ["sqlite", "postgresql+psycopg", "postgresql+psycopg2", "mysql+pymysql",
               "mysql+mysqldb"]
)  # fmt: skip
def test_sqlalchemy(driver, request, tmp_path: Path):
    url = "sqlite://"
    if driver != "sqlite":
        name = "postgresql" if driver.startswith("postgresql") else "mariadb"
        server = request.getfixturevalue(f"{name}_server")
        way = server.login
        url = (
            f"{driver}://{way['user']}:{way['password']}@{way['host']}:{way['port']}/"
            f"{server.fresh_database()}"
        )
    recorded = record(
        tmp_path,
        SQLALCHEMY + """
import os
from kolo_c import pause
def main():
    engine = sa.create_engine(os.environ["URL"])
    with pause():
        Base.metadata.create_all(engine)
    with Session(engine) as session:
        use(session)
main()
""",
        env={"URL": url},
        same=False,
    )  # fmt: skip
    found = told(recorded)
    inserted = [rows for word, rows in found if word == "INSERT"]
    if driver.startswith("mysql"):  # the pool's, where others know that nothing is open
        found = [at for at in found if at[0] != "ROLLBACK"] + [("ROLLBACK", None)]
    assert [at for at in found if at[0] != "INSERT"] == [
        ("BEGIN", None), ("COMMIT", None), ("BEGIN", None), ("SELECT", 2),
        ("SELECT", 1), ("ROLLBACK", None),
    ]  # fmt: skip
    assert inserted
    assert one(recorded, "WHERE id >")["params"] in ({"n": 1}, [1], {"n_1": 1})
    assert one(recorded, "ORDER BY fruit.name")["rows_sample"] == [["apple"], ["fig"]]


@pytest.mark.parametrize(
    "driver", ["sqlite+aiosqlite", "postgresql+asyncpg", "postgresql+psycopg"]
)
def test_sqlalchemy_async(driver, request, tmp_path: Path):
    pytest.importorskip("greenlet")
    url = "sqlite+aiosqlite://"
    if driver != "sqlite+aiosqlite":
        server = request.getfixturevalue("postgresql_server")
        way = server.login
        url = (
            f"{driver}://{way['user']}:{way['password']}@{way['host']}:{way['port']}/"
            f"{server.fresh_database()}"
        )
    recorded = record(
        tmp_path,
        SQLALCHEMY + """
import asyncio, os
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
async def main():
    engine = create_async_engine(os.environ["URL"])
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session:
        await session.run_sync(use)
    await engine.dispose()
asyncio.run(main())
""",
        env={"URL": url},
        same=False,
    )  # fmt: skip
    assert one(recorded, "ORDER BY fruit.name")["rows"] == 2
    assert one(recorded, "WHERE id >")["rows"] == 1
    found = one(recorded, "WHERE id >")
    assert found["params"] in ([1], {"n": 1}) and found["rows_sample"] == [["fig"]]
    operations = [at["operation"] for at in recorded.fields("sql")]
    assert operations.count("COMMIT") == 2 and "ROLLBACK" in operations


def test_the_how_to_can_be_followed(tmp_path: Path):
    page = ROOT / "docs" / "howto" / "sql.md"
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    assert typed(page, tmp_path) == 3
