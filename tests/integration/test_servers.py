"""The servers of the tests: each speaks with the drivers that its users take."""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import PASSWORD, MailServer, Server

ROOT = Path(__file__).parent.parent.parent


def test_postgresql_answers_its_drivers(postgresql_server: Server) -> None:
    psycopg = pytest.importorskip("psycopg")
    psycopg2 = pytest.importorskip("psycopg2")
    name = postgresql_server.fresh_database()
    for driver in psycopg, psycopg2:
        connection = driver.connect(**postgresql_server.login, dbname=name)
        cursor = connection.cursor()
        cursor.execute("SELECT current_database(), %s + 1", (41,))
        assert cursor.fetchone() == (name, 42)
        connection.close()


def test_mariadb_answers_its_drivers(mariadb_server: Server) -> None:
    pymysql = pytest.importorskip("pymysql")
    mysqldb = pytest.importorskip("MySQLdb")
    name = mariadb_server.fresh_database()
    for driver in pymysql, mysqldb:
        connection = driver.connect(**mariadb_server.login, database=name)
        cursor = connection.cursor()
        cursor.execute("SELECT database(), %s + 1", (41,))
        assert cursor.fetchone() == (name, 42)
        connection.close()


def test_a_database_can_be_the_copy_of_another(postgresql_server: Server) -> None:
    psycopg = pytest.importorskip("psycopg")
    login = postgresql_server.login
    first = postgresql_server.fresh_database()
    with psycopg.connect(**login, dbname=first) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    connection.close()
    second = postgresql_server.fresh_database(like=first)
    with psycopg.connect(**login, dbname=second) as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(7,)]
    connection.close()


def test_redis_asks_for_its_password(redis_server: Server) -> None:
    redis = pytest.importorskip("redis")
    client = redis.Redis(**redis_server.login)
    client.set("key", "value")
    assert client.get("key") == b"value"
    client.close()
    address = {"host": redis_server.host, "port": redis_server.port}
    stranger = redis.Redis(**address, retry=None)
    with pytest.raises(redis.AuthenticationError):
        stranger.ping()
    stranger.close()


def test_memcached_keeps_what_it_is_given(memcached_server: Server) -> None:
    pymemcache = pytest.importorskip("pymemcache")
    client = pymemcache.Client((memcached_server.host, memcached_server.port))
    client.set("key", "value", noreply=False)
    assert client.get("key") == b"value"
    client.close()


def test_the_mail_server_keeps_what_it_is_sent(mail_server: MailServer) -> None:
    with smtplib.SMTP(mail_server.host, mail_server.port) as client:
        client.sendmail("a@example.org", "b@example.org", "Subject: Seven\n\nhello")
    assert len(mail_server.messages) == 1
    assert "Subject: Seven" in mail_server.messages[0]


def test_a_command_is_told_where_the_servers_are_and_they_end_with_it() -> None:
    show = "import os; print(os.environ['SHOP_CACHE_LOCATION'])"
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.servers",
            "redis",
            "--",
            sys.executable,
            "-c",
            show,
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    address = ended.stdout.strip()
    assert address.startswith(f"redis://:{PASSWORD}@127.0.0.1:")
    redis = pytest.importorskip("redis")
    with pytest.raises(redis.ConnectionError):
        redis.Redis.from_url(address, retry=None).ping()


def test_where_a_server_is_missing_its_tests_say_so_and_fail_in_ci(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tests import servers

    monkeypatch.setattr(servers.shutil, "which", lambda *_, **__: None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(
        pytest.skip.Exception, match="no redis-server: script/bootstrap"
    ):
        next(servers.for_tests("redis"))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no redis-server"):
        next(servers.for_tests("redis"))
