"""A wheel carries SQLite, so that Python's sqlite3 and the extension are two copies.

Two copies in one process drop each other's POSIX locks: whoever closes a file drops all
that its process holds on it (sqlite.org, "How To Corrupt", 2.2.1). The store's files are
therefore opened by the extension's copy alone, the program's own by Python's alone.

Where both use one library, a second is made here: the package copied, its extension
linked to a copy of the library under another name.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import kolo_c
from tests.spec.tracing import environment

PACKAGE = Path(kolo_c.__file__).parent
NAME, OTHER_NAME = b"libsqlite3.so.0", b"libsqlitE3.so.0"
MAPPED = """
import pathlib, re, sqlite3, kolo_c._kolo
found = re.findall(r'/\\S*libsqlit[eE]3[^/\\s]*[.]so\\S*', pathlib.Path('/proc/self/maps').read_text())
print(*sorted(set(found)), sep='\\n')
"""


class Copies:
    """A package whose extension has a SQLite of its own."""

    def __init__(self, **variables: str) -> None:
        self.environment = environment(**variables)

    def run(self, program: str, where: Path, *words: str, under: str = "") -> str:
        """What the program prints; it must end well and say nothing else."""
        where.mkdir(exist_ok=True)
        (where / "program.py").write_text(textwrap.dedent(program), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, *under.split(), "program.py", *words],
            cwd=where, env=self.environment, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    if not Path("/proc/self/maps").exists():
        pytest.skip("no /proc/self/maps")
    pytest.importorskip("kolo_c._kolo")
    mapped = subprocess.run(
        [sys.executable, "-c", MAPPED],
        env=environment(), capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    if len(mapped) == 2:
        return Copies()  # an installed wheel
    extension = Path(sys.modules["kolo_c._kolo"].__file__ or "")
    data = extension.read_bytes()
    if len(mapped) != 1 or NAME not in data:
        pytest.skip("the extension is not linked to the system's libsqlite3.so.0")
    folder = tmp_path_factory.mktemp("copies")
    shutil.copytree(
        PACKAGE, folder / "kolo_c", ignore=shutil.ignore_patterns("*.so", "*.pyc")
    )
    changed = folder / "kolo_c" / extension.name
    changed.write_bytes(data.replace(NAME, OTHER_NAME))
    library = folder / OTHER_NAME.decode()
    library.write_bytes(Path(mapped[0]).read_bytes().replace(NAME, OTHER_NAME))
    variables = {"PYTHONPATH": str(folder), "LD_LIBRARY_PATH": str(folder)}
    return Copies(**variables)


def test_the_process_has_two_copies(copies: Copies, tmp_path: Path) -> None:
    """Or the tests below prove nothing."""
    assert len(set(copies.run(MAPPED, tmp_path).split())) == 2


HOLD_AND_READ = """
    import sqlite3, subprocess, sys
    from kolo_c.store.connection import connect
    ANOTHER = '''
    import sqlite3
    database = sqlite3.connect('a.db', timeout=0, isolation_level=None)
    try: print(*database.execute('BEGIN IMMEDIATE'), 'taken')
    except sqlite3.OperationalError as error: print(error)
    '''.replace('\\n    ', '\\n')
    def another_writer():
        done = subprocess.run([sys.executable, '-c', ANOTHER], capture_output=True,
                              text=True, check=True)
        print(done.stdout.strip())
    writer = connect('a.db', 'rwc')
    writer.execute('PRAGMA journal_mode = WAL')
    writer.execute('CREATE TABLE t (a)')
    writer.execute('BEGIN IMMEDIATE')
    another_writer()
    if sys.argv[1] == 'ours':
        with connect('a.db', 'ro') as reader:
            reader.execute('SELECT * FROM t')
    else:
        reader = sqlite3.connect('file:a.db?mode=ro', uri=True)
        reader.execute('SELECT * FROM t').fetchall()
        reader.close()
    another_writer()
"""


def test_reading_through_the_extension_keeps_its_locks(
    copies: Copies, tmp_path: Path
) -> None:
    said = copies.run(HOLD_AND_READ, tmp_path, "ours").splitlines()
    assert said == ["database is locked"] * 2


def test_reading_through_python_s_copy_would_lose_them(
    copies: Copies, tmp_path: Path
) -> None:
    """Why there is a Connection at all, and that the test above can see it."""
    said = copies.run(HOLD_AND_READ, tmp_path, "python's").splitlines()
    assert said == ["database is locked", "taken"]


# A program with a database of its own, written by one thread while another reads the
# trace that is being recorded.
READS_ITSELF = """
    import glob, os, sqlite3, subprocess, sys, threading, time
    from pathlib import Path
    from kolo_c.store.exported import open_exported
    from kolo_c.store.reader import Store

    def keep(n):
        return [n]

    def use_own_database():
        database = sqlite3.connect('app.db')
        database.execute('PRAGMA journal_mode = WAL')
        database.execute('CREATE TABLE t (a)')
        n = 0
        while not stop.is_set():
            with database:
                database.execute('INSERT INTO t VALUES (?)', (keep(n)[0],))
            n += 1
            time.sleep(0.003)
        database.close()
        print('rows', n)

    def work():
        n = 0
        while not stop.is_set():
            for _ in range(20):
                keep(n)
                n += 1
            time.sleep(0.01)

    def read():
        with Store(Path('.kolo_c')) as store:
            (info,) = store.traces()
            trace = store.trace(info.id)
            return sum(1 for stream in trace.streams for _ in stream.records())

    def refused():
        # What needs the file for itself: while the writer holds its locks, it fails.
        (segment,) = glob.glob('.kolo_c/segments/*.db')
        done = subprocess.run(
            [sys.executable, '-c',
             'import sqlite3, sys\\n'
             'd = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)\\n'
             'print(d.execute("PRAGMA journal_mode = DELETE").fetchone()[0])', segment],
            capture_output=True, text=True)
        return 'database is locked' in done.stderr

    stop = threading.Event()
    threads = [threading.Thread(target=f, daemon=True) for f in (use_own_database, work)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    counts, held = [], []
    held.append(refused())
    for _ in range(5):
        counts.append(read())
        held.append(refused())
        time.sleep(0.2)
    stop.set()
    for thread in threads:
        thread.join()
    (segment,) = glob.glob('.kolo_c/segments/*.db')
    with open_exported(Path(segment)) as store:
        assert len(store.traces()) == 1
    held.append(refused())
    print('grows', counts == sorted(counts) and counts[-1] > counts[0] > 0)
    print('held', held)
"""


def test_a_program_reads_its_own_trace_while_it_is_written(
    copies: Copies, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    said = copies.run(READS_ITSELF, project, under="-m kolo_c run --quiet --no-follow")
    lines = dict(line.split(" ", 1) for line in said.splitlines())
    assert lines["grows"] == "True"
    assert lines["held"] == str([True] * 7)
    rows = int(lines["rows"])
    assert rows > 0
    (segment,) = (project / ".kolo_c" / "segments").glob("*.db")
    for path in (segment, project / "app.db"):
        database = sqlite3.connect(path)
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)], path
        database.close()
    database = sqlite3.connect(project / "app.db")
    assert database.execute("SELECT count(*) FROM t").fetchall() == [(rows,)]
    database.close()


def test_the_command_line_reads_it_afterwards(copies: Copies, tmp_path: Path) -> None:
    """With all that the two copies wrote, each command in a process with both."""
    project = tmp_path / "project"
    program = """
        import sqlite3
        def store(n):
            with sqlite3.connect('app.db') as database:
                database.execute('CREATE TABLE IF NOT EXISTS t (a)')
                database.execute('INSERT INTO t VALUES (?)', (n,))
            database.close()
            return n
        for n in range(5):
            store(n)
    """
    copies.run(program, project, under="-m kolo_c run --quiet")
    for command, expected in (("list", "program.py"), ("show", r"store\(n=0\)")):
        done = subprocess.run(
            [sys.executable, "-m", "kolo_c", command],
            cwd=project, env=copies.environment, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        assert re.search(expected, done.stdout), done.stdout
    assert os.listdir(project / ".kolo_c" / "segments")
