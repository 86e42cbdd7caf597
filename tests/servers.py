"""Real servers, each a private one: a temporary folder, a free port on 127.0.0.1.

``postgresql_server`` and the other fixtures start what Debian's packages have, once a
session and only when a test asks, and stop it at the end. A server is also stopped by
the system when the tests are killed. Where a program is missing its tests are skipped
with the reason, and where CI=true they fail: there script/bootstrap has installed it.

    def test_something(postgresql_server):
        database = postgresql_server.fresh_database()
        psycopg.connect(**postgresql_server.login, dbname=database)

By hand: ``python -m tests.servers redis postgresql -- COMMAND…`` runs a command with the
variables that tests/programs/shop reads, and stops the servers when it ends.

Threads: one. Owns: the processes and their folders. Fails: ServerError, with the log.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer

USER = "shop"
# Told to nobody: tests look for it in what was recorded.
PASSWORD = "pw-of-the-servers-9d1c"  # one for all
START_SECONDS = 30
STOP_SECONDS = 20
# Debian has servers where the PATH of people does not lead, or several versions.
ELSEWHERE = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/usr/bin"]


class ServerError(Exception):
    """A server is missing, or did not start."""


@dataclass
class Server:
    """A server that answers. ``login``: how its Python drivers are told the way."""

    name: str
    host: str
    port: int
    folder: Path
    login: dict[str, object] = field(default_factory=dict)
    run_sql: Callable[[str], None] | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def fresh_database(self, like: str = "") -> str:
        """The name of a new database, empty, or a copy of another (PostgreSQL)."""
        assert self.run_sql is not None, f"{self.name} has no databases"
        name = f"fresh_{os.getpid()}_{next(self._numbers)}"
        template = f" TEMPLATE {like}" if like else ""
        self.run_sql(f"CREATE DATABASE {name}{template}")
        return name

    def shop_environment(self, database: str = "") -> dict[str, str]:
        """What tests/programs/shop is told, so that it uses this server."""
        if self.run_sql is not None:
            return {
                "SHOP_DATABASE": "mysql" if self.name == "mariadb" else self.name,
                "SHOP_DATABASE_HOST": self.host,
                "SHOP_DATABASE_PORT": str(self.port),
                "SHOP_DATABASE_USER": USER,
                "SHOP_DATABASE_PASSWORD": PASSWORD,
                "SHOP_DATABASE_NAME": database or self.fresh_database(),
            }
        if self.name == "redis":
            url = f"redis://:{PASSWORD}@{self.host}:{self.port}"
            return {
                "SHOP_CACHE": "redis",
                "SHOP_CACHE_LOCATION": f"{url}/0",
                "SHOP_BROKER": f"{url}/1",
            }
        return {
            "SHOP_CACHE": "memcached",
            "SHOP_CACHE_LOCATION": f"{self.host}:{self.port}",
        }


@dataclass
class MailServer:
    """Where to send mail, and what was sent."""

    port: int
    messages: list[str]
    host: str = "127.0.0.1"


def find(program: str, *folders: str) -> str:
    """Where ``program`` is."""
    path = os.pathsep.join([*folders, os.environ.get("PATH", ""), *ELSEWHERE])
    found = shutil.which(program, path=path)
    if found is None:
        raise ServerError(f"there is no {program}: script/bootstrap installs it")
    return found


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def private_folder(user: str | None) -> Iterator[Path]:
    """One that ``user`` may use, with a path that is short enough for a socket's name."""
    folder = Path(tempfile.mkdtemp(prefix="server-", dir="/tmp"))
    try:
        if user is not None:
            shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running(
    command: list[str],
    folder: Path,
    answers: Callable[[], bool],
    *,
    user: str | None = None,
    stop: str = "TERM",
) -> Iterator[None]:
    """``command`` while the block runs, which begins when ``answers`` says so."""
    if sys.platform == "linux" and shutil.which("setpriv") is not None:
        # Stopped by the system too, should these tests be killed.
        as_user = [] if user is None else [f"--reuid={user}", "--init-groups"]
        as_user += [] if user is None else [f"--regid={pwd.getpwnam(user).pw_gid}"]
        command = ["setpriv", *as_user, f"--pdeathsig={stop}", *command]
        user = None
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=user,
            start_new_session=True,  # Ctrl-C is for the tests, which then stop it
        )
    try:
        wait_until(answers, process, log)
        yield
    finally:
        process.send_signal(getattr(signal, f"SIG{stop}"))
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(
    answers: Callable[[], bool], process: subprocess.Popen[bytes], log: Path
) -> None:
    """Return when the server answers."""
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        status = process.poll()
        if status is not None or time.monotonic() > deadline:
            what = "does not answer" if status is None else f"ended with {status}"
            said = log.read_text(errors="replace")[-2000:]
            raise ServerError(f"{process.args!r} {what}:\n{said}")
        time.sleep(0.02)


def accepts(port: int) -> Callable[[], bool]:
    """Whether somebody listens there."""

    def answers() -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        return False

    return answers


def succeeds(command: list[str], environment: dict[str, str]) -> Callable[[], bool]:
    """Whether ``command`` ends with status 0."""

    def answers() -> bool:
        ended = subprocess.run(
            command,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        return ended.returncode == 0

    return answers


def checked(command: list[str], *, user: str | None = None, **variables: str) -> None:
    """Run it to its end; its output is the error where it fails."""
    ended = subprocess.run(
        command,
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        user=user,
        group=None if user is None else pwd.getpwnam(user).pw_gid,
        extra_groups=None if user is None else [],
        cwd="/",
        check=False,
    )
    if ended.returncode != 0:
        raise ServerError(f"{command[0]} failed:\n{ended.stdout[-2000:]}")


@contextlib.contextmanager
def postgresql() -> Iterator[Server]:
    """PostgreSQL, of the newest version there is; it refuses to run as root."""
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[-2])
    )
    folders = [str(path) for path in reversed(versions)]
    initdb, postgres = find("initdb", *folders), find("postgres", *folders)
    psql = find("psql", *folders)
    user = "postgres" if os.geteuid() == 0 else None
    port = free_port()
    with private_folder(user) as folder:
        data, word = folder / "data", folder / "word"
        word.write_text(PASSWORD)
        if user is not None:
            shutil.chown(word, user)
        checked(
            [
                initdb,
                "-D",
                str(data),
                "-U",
                USER,
                f"--pwfile={word}",
                "-N",
                "-A",
                "scram-sha-256",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
            ],
            user=user,
        )
        # Nothing here has to survive a power cut.
        settings = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        settings += ["listen_addresses=127.0.0.1", f"unix_socket_directories={folder}"]
        settings += ["max_connections=200", "shared_buffers=32MB"]
        options = [word for each in settings for word in ("-c", each)]
        client = [psql, "-X", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", USER]
        client += ["-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c"]
        told = {"PGPASSWORD": PASSWORD}
        with running(
            [postgres, "-D", str(data), "-p", str(port), *options],
            folder,
            succeeds([*client, "SELECT 1"], told),
            user=user,
            stop="INT",  # at once: it does not wait for clients
        ):
            login = {"host": "127.0.0.1", "port": port, "user": USER}
            yield Server(
                "postgresql",
                "127.0.0.1",
                port,
                folder,
                {**login, "password": PASSWORD},
                lambda sql: checked([*client, sql], **told),
            )


@contextlib.contextmanager
def mariadb() -> Iterator[Server]:
    """MariaDB."""
    install, server = find("mariadb-install-db"), find("mariadbd")
    client = find("mariadb")
    user = pwd.getpwuid(os.geteuid()).pw_name
    port = free_port()
    with private_folder(None) as folder:
        data, socket_file = folder / "data", folder / "socket"
        checked(
            [
                install,
                "--no-defaults",
                f"--datadir={data}",
                f"--user={user}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ]
        )
        local = [client, "--no-defaults", f"--socket={socket_file}", "--user=root"]
        local += ["--batch", "--execute"]
        with running(
            [
                server,
                "--no-defaults",
                f"--datadir={data}",
                f"--user={user}",
                f"--socket={socket_file}",
                f"--port={port}",
                "--bind-address=127.0.0.1",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-buffer-pool-size=32M",
                "--character-set-server=utf8mb4",
                "--max-connections=200",
                "--skip-name-resolve",
                f"--pid-file={folder / 'pid'}",
            ],
            folder,
            succeeds([*local, "SELECT 1"], {}),
        ):
            checked([*local, f"CREATE USER {USER} IDENTIFIED BY '{PASSWORD}'"])
            checked([*local, f"GRANT ALL ON *.* TO {USER}"])
            login = {"host": "127.0.0.1", "port": port, "user": USER}
            yield Server(
                "mariadb",
                "127.0.0.1",
                port,
                folder,
                {**login, "password": PASSWORD},
                lambda sql: checked([*local, sql]),
            )


@contextlib.contextmanager
def redis() -> Iterator[Server]:
    """Redis, which asks for a password."""
    port = free_port()
    with (
        private_folder(None) as folder,
        running(
            [
                find("redis-server"),
                "--bind",
                "127.0.0.1",
                "--port",
                str(port),
                "--save",
                "",
                "--appendonly",
                "no",
                "--requirepass",
                PASSWORD,
            ],
            folder,
            accepts(port),
        ),
    ):
        login: dict[str, object] = {"host": "127.0.0.1", "port": port}
        yield Server(
            "redis", "127.0.0.1", port, folder, {**login, "password": PASSWORD}
        )


@contextlib.contextmanager
def memcached() -> Iterator[Server]:
    """Memcached, in memory and gone with its process."""
    port = free_port()
    as_root = ["-u", "root"] if os.geteuid() == 0 else []
    with (
        private_folder(None) as folder,
        running(
            [
                find("memcached"),
                "-l",
                "127.0.0.1",
                "-p",
                str(port),
                "-U",
                "0",
                *as_root,
            ],
            folder,
            accepts(port),
            stop="KILL",  # it would think about it for a second
        ),
    ):
        yield Server("memcached", "127.0.0.1", port, folder)


STARTERS = {each.__name__: each for each in (postgresql, mariadb, redis, memcached)}


def for_tests(name: str) -> Iterator[Server]:
    """A fixture's body: the server, or why not."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(STARTERS[name]())
        except ServerError as error:
            if os.environ.get("CI") == "true":
                pytest.fail(f"{name}: {error}", pytrace=False)
            pytest.skip(f"{name}: {error}")
        yield server


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """A PostgreSQL."""
    yield from for_tests("postgresql")


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Server]:
    """A MariaDB."""
    yield from for_tests("mariadb")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """A Redis."""
    yield from for_tests("redis")


@pytest.fixture(scope="session")
def memcached_server() -> Iterator[Server]:
    """A memcached."""
    yield from for_tests("memcached")


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """A mail server in this process, that keeps what it is sent: ``messages``."""
    from aiosmtpd.controller import Controller

    class Kept(MailServer):
        async def handle_DATA(self, server, session, envelope):
            self.messages.append(envelope.content.decode())
            return "250 kept"

    kept = Kept(free_port(), [])
    controller = Controller(kept, hostname="127.0.0.1", port=kept.port)
    controller.start()
    try:
        yield kept
    finally:
        controller.stop()


@pytest.fixture
def http_server() -> Iterator[HTTPServer]:
    """pytest-httpserver's: says what a test told it, records what it was asked."""
    from pytest_httpserver import HTTPServer

    with HTTPServer(host="127.0.0.1", port=0, threaded=True) as server:
        yield server


def main(words: list[str]) -> int:
    """``NAME… -- COMMAND…``: run the command while these servers are there."""
    names, command = words[: words.index("--")], words[words.index("--") + 1 :]
    with contextlib.ExitStack() as stack:
        variables = {}
        for name in names:
            server = stack.enter_context(STARTERS[name]())
            variables |= server.shop_environment()
        return subprocess.run(
            command, env=os.environ | variables, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
