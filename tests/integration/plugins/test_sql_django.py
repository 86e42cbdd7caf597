"""SQL that Django sends, over SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.plugins.recording import record
from tests.servers import Server

pytest.importorskip("django")

SETTINGS = """
import json, os, sys
import django
from django.conf import settings

settings.configure(
    DEBUG=os.environ.get("DEBUG", "1") == "1",
    SECRET_KEY="not so secret here",
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
    ],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    DATABASES={"default": json.loads(os.environ["DATABASE"])},
)
django.setup()

from django.contrib.auth.models import Group, User
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.db import connection, transaction

from kolo_c import pause


def tables():
    with pause():
        call_command("migrate", verbosity=0)
"""
PROGRAM = """
from tables import *


def main():
    for number in range(3):
        Group.objects.create(name=f"group {number}")
    with transaction.atomic():
        with transaction.atomic():
            Group.objects.filter(name="group 1").update(name="other")
    try:
        with transaction.atomic():
            Group.objects.create(name="never")
            raise KeyError
    except KeyError:
        pass
    print([group.name for group in Group.objects.order_by("id")])
    print(Group.objects.filter(name="other").exists())
    print([group.name for group in Group.objects.order_by("id").iterator(chunk_size=2)])
    print(Group.objects.raw("SELECT * FROM auth_group WHERE name = %s", ["other"])[0])
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM auth_group ORDER BY id")
        print(cursor.fetchone(), cursor.fetchmany(2), cursor.fetchall())
        cursor.executemany(
            "INSERT INTO auth_group (name) VALUES (%s)", [("x1",), ("x2",)]
        )
        print(cursor.rowcount)
        try:
            cursor.execute("SELECT nothing_of_it FROM auth_group")
        except django.db.Error as error:
            print(type(error).__name__)


tables()
main()
print(len(connection.queries))
"""
SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}


def database(chosen: dict) -> dict[str, str]:
    return {"DATABASE": json.dumps(chosen)}


def on(server: Server, engine: str) -> dict[str, str]:
    login = dict(server.login)
    return database(
        {
            "ENGINE": f"django.db.backends.{engine}",
            "NAME": server.fresh_database(),
            "HOST": login["host"],
            "PORT": str(login["port"]),
            "USER": login["user"],
            "PASSWORD": login["password"],
        }
    )


def check(recorded, vendor: str, name: str) -> None:
    """What PROGRAM did, whatever the database."""
    found = recorded.fields("sql")
    assert {(at["system"], at["database"]) for at in found} == {(vendor, "default")}
    assert name in {at["name"] for at in found}
    operations = [at["operation"] for at in found]
    inserted = ["INSERT"] * 3
    updated = ["BEGIN", "SAVEPOINT", "UPDATE", "RELEASE", "COMMIT"]
    undone = ["BEGIN", "INSERT", "ROLLBACK"]
    selected = ["SELECT"] * 5
    assert operations == [*inserted, *updated, *undone, *selected, "INSERT", "SELECT"]
    update = next(at for at in found if at["operation"] == "UPDATE")
    assert update["changed"] == 1 and update["transaction"] is True
    assert update["params"] == ["other", "group 1"]
    assert "transaction" not in found[0]
    many = found[-2]
    assert many["many"] == 2 and many["changed"] == 2
    assert many["params"] == [["x1"], ["x2"]]
    *others, failed = recorded.events("sql")
    if recorded.traced.core == "c":  # the other one's hook is not told which, on 3.11
        assert failed.exception is not None
    assert not any(event.exception for event in others)
    # What was fetched of each statement, at its line.
    rows = {}
    for at in recorded.fields("fetch"):
        rows.setdefault(at["number"], []).append(at["rows"])
    selects = [at for at in found if at["operation"] == "SELECT"]
    fetched = [sum(rows.get(at["number"], [])) for at in selects]
    assert fetched == [3, 1, 3, 1, 3, 0]  # of raw() the program has stopped at one
    sample = recorded.fields("fetch")
    first = next(at for at in sample if at["number"] == selects[0]["number"])
    assert first["columns"] == ["id", "name"]
    assert [row[1] for row in first["rows_sample"]] == ["group 0", "other", "group 2"]


@pytest.mark.parametrize("core", ["c", "python"])
def test_each_statement_of_django_is_one_record(core, tmp_path: Path):
    recorded = record(
        tmp_path, PROGRAM, core=core, files={"tables.py": SETTINGS},
        env=database(SQLITE),
    )  # fmt: skip
    check(recorded, "sqlite", ":memory:")


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_so_it_is_with_servers(engine, request, tmp_path: Path):
    server = request.getfixturevalue(
        "postgresql_server" if engine == "postgresql" else "mariadb_server"
    )
    variables = on(server, engine)
    name = json.loads(variables["DATABASE"])["NAME"]
    # Untraced it would meet other ids.
    recorded = record(
        tmp_path, PROGRAM, same=False, files={"tables.py": SETTINGS}, env=variables
    )
    check(recorded, engine, name)


def test_a_server_side_cursor_is_one_statement_with_its_fetches(
    postgresql_server, tmp_path: Path
):
    recorded = record(
        tmp_path,
        """
        from tables import *

        def main():
            with transaction.atomic():
                for group in Group.objects.order_by("id").iterator(chunk_size=2):
                    pass
        tables()
        with pause():
            for number in range(5):
                Group.objects.create(name=f"group {number}")
        main()
        """,
        same=False,
        files={"tables.py": SETTINGS},
        env=on(postgresql_server, "postgresql"),
    )
    operations = [at["operation"] for at in recorded.fields("sql")]
    assert operations == ["BEGIN", "SELECT", "COMMIT"]
    assert sum(at["rows"] for at in recorded.fields("fetch")) == 5


@pytest.mark.parametrize("core", ["c", "python"])
def test_values_of_secret_columns_are_masked(core, tmp_path: Path):
    recorded = record(
        tmp_path,
        """
        from tables import *

        def main():
            hunter = "-".join(("hunter2", "secret"))
            User.objects.create_user("bob", "bob@example.org", hunter)
            print(User.objects.get(username="bob").check_password(hunter))
            session = SessionStore()
            session["pet"] = "-".join(("axolotl", "7"))
            session.save()
            print(SessionStore(session_key=session.session_key)["pet"])
            with connection.cursor() as cursor:
                cursor.execute("SELECT * FROM django_session")
                cursor.fetchall()
                cursor.execute("UPDATE auth_user SET password = 'swordfish-%d'" % 77)
                cursor.execute("SELECT password AS p, id FROM auth_user")
                cursor.fetchall()
            with open("keys", "w") as file:
                file.write(session.session_key)
        tables()
        main()
        """,
        core=core, same=False, files={"tables.py": SETTINGS},
        env=database(SQLITE),
    )  # fmt: skip
    key = (tmp_path / "keys").read_text()
    for secret in (key, "axolotl-7", "hunter2-secret", "swordfish-77", "md5$"):
        assert not recorded.holds(secret), secret
    (user,) = [
        at for at in recorded.fields("sql")
        if at["text"].startswith('INSERT INTO "auth_user"')
    ]  # fmt: skip
    assert set(user["params"][3:4]) == {"***"} and False in user["params"]
    sampled = [
        at for at in recorded.fields("fetch") if at.get("columns") == ["p", "id"]
    ]
    assert [at["rows_sample"] for at in sampled] == [[["***", 1]]]


@pytest.mark.parametrize(
    ("debug", "chosen", "kept"),
    [("0", "debug", False), ("1", "debug", True), ("0", "always", True),
     ("1", "never", False)],
)  # fmt: skip
def test_rows_are_kept_with_DEBUG_or_as_the_setting_says(
    debug, chosen, kept, tmp_path: Path
):
    recorded = record(
        tmp_path,
        """
        from tables import *
        tables()
        def main():
            print(list(connection.cursor().execute("SELECT 'apple' AS fruit")))
            with connection.cursor() as cursor:
                cursor.execute("SELECT 'apple' AS fruit")
                cursor.fetchall()
        main()
        """,
        files={"tables.py": SETTINGS},
        env={**database(SQLITE), "DEBUG": debug, "KOLO_C_SQL_ROWS": chosen},
    )
    found = recorded.fields("fetch")[-1]
    assert found["rows"] == 1
    assert ("rows_sample" in found) is kept


def test_the_queries_of_a_program_are_as_many_as_without_us(tmp_path: Path):
    """CursorDebugWrapper asks SQLite to quote values: that is Django's own."""
    recorded = record(
        tmp_path,
        """
        from tables import *
        tables()
        connection.queries_log.clear()
        def main():
            list(Group.objects.filter(name="x"))
            print([query["sql"] for query in connection.queries])
        main()
        """,
        files={"tables.py": SETTINGS},
        env=database(SQLITE),
    )
    assert len(recorded.fields("sql")) == 1


def test_what_is_lazy_is_not_evaluated(tmp_path: Path):
    """Parameters that send a statement of their own when they are asked for anything."""
    recorded = record(
        tmp_path,
        """
        from tables import *
        tables()
        class Lazy:
            asked = 0
            def __iter__(self):
                Lazy.asked += 1
                return iter([("lazy 1",), ("lazy 2",)])
            def __bool__(self):
                raise AssertionError("asked")
            __len__ = __getitem__ = __repr__ = __str__ = __bool__

        def main():
            with connection.cursor() as cursor:
                cursor.executemany("INSERT INTO auth_group (name) VALUES (%s)", Lazy())
                names = (name for name in ["g1", "g2"])
                cursor.executemany(
                    "INSERT INTO auth_group (name) VALUES (%s)", ((n,) for n in names)
                )
            print(Lazy.asked, Group.objects.count())
        settings.DEBUG = False  # Django's own log of queries asks for the length
        connection.force_debug_cursor = False
        main()
        """,
        files={"tables.py": SETTINGS},
        env=database(SQLITE),
    )
    assert recorded.traced.stdout == "1 4\n"
    first, second, _ = recorded.fields("sql")
    assert first["changed"] == second["changed"] == 2
