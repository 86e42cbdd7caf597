"""The package as somebody installs it: each way in, once, with nothing but itself.

    python -m unittest discover -s tests/smoke -v

Needs no pytest, so that it runs where a wheel has just been installed, without compiler,
headers and tools; script/wheel does so, and sets KOLO_C_CLEAN_ROOT there.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

import kolo_c
from kolo_c import _kolo

INSTALLED = "site-packages" in str(kolo_c.__file__)
CLEAN_ROOT = os.environ.get("KOLO_C_CLEAN_ROOT") == "1"
SCRIPTS = Path(sys.executable).parent
MODULE = (sys.executable, "-m", "kolo_c")

PROGRAM = """
    def add(a, b):
        return a + b
    def fail(password):
        total = add(1, 2)
        raise ValueError(f'no {total}')
    for n in range(3000):
        add(str(n), 'text')
    fail('hunter22')
"""
# A database of its own, its trace read while it is written, by API alone.
IN_ONE_PROCESS = """
    import sqlite3, sys, kolo_c
    from pathlib import Path
    from kolo_c.store.reader import Store
    def add(a, b):
        return a + b
    database = sqlite3.connect('app.db')
    database.execute('CREATE TABLE t (a)')
    with kolo_c.trace('smoke'):
        for n in range(300):
            with database:
                database.execute('INSERT INTO t VALUES (?)', (add(n, 1),))
        with Store(Path('.kolo_c')) as store:
            (info,) = store.traces()
            trace = store.trace(info.id)
            seen = sum(1 for stream in trace.streams for _ in stream.records())
    assert seen >= 600, seen
    print(database.execute('PRAGMA integrity_check').fetchone()[0])
"""


class Smoke(unittest.TestCase):
    """A folder for each test, and commands in it."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()

    def run_words(self, *words: str, code: int = 0) -> str:
        """What the command prints to its output; its code must be this one."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("KOLO_C_")}
        done = subprocess.run(
            words, cwd=self.folder, capture_output=True, text=True, timeout=60,
            check=False, env=kept,
        )  # fmt: skip
        self.assertEqual(code, done.returncode, done.stdout + done.stderr)
        self.said = done.stderr
        return done.stdout

    def write(self, source: str) -> None:
        (self.folder / "program.py").write_text(textwrap.dedent(source), "utf-8")

    def test_a_program_is_recorded_listed_and_shown(self) -> None:
        self.write(PROGRAM)
        self.run_words(*MODULE, "run", "program.py", code=1)
        self.assertIn("ValueError: no 3", self.said)
        self.assertIn("program.py", self.run_words(*MODULE, "list"))
        (trace,) = json.loads(self.run_words(*MODULE, "list", "--json"))
        self.assertEqual(3003, trace["calls"], "3000 add, fail, add, module")
        shown = self.run_words(*MODULE, "show", trace["id"])
        self.assertIn("ValueError", shown)
        self.assertIn("add(", shown)
        self.assertNotIn("hunter22", shown)
        self.assertTrue('"2999text"' in self.run_words(*MODULE, "dump"))

    def test_a_variable_is_enough_to_record_a_program(self) -> None:
        if not INSTALLED:
            self.skipTest("the start-up file is installed with the package")
        self.write(PROGRAM)
        program = subprocess.run(
            (sys.executable, "program.py"), cwd=self.folder, timeout=60,
            capture_output=True, text=True, env={**os.environ, "KOLO_C": "1"},
        )  # fmt: skip
        self.assertEqual(1, program.returncode, program.stderr)
        (trace,) = json.loads(self.run_words(*MODULE, "list", "--json"))
        self.assertEqual(3003, trace["calls"])

    def test_why_tells_the_story_of_the_failure(self) -> None:
        if "why" not in self.run_words(*MODULE, "--help").split():
            self.skipTest("there is no such command")
        self.write(PROGRAM)
        self.run_words(*MODULE, "run", "--quiet", "program.py", code=1)
        told = self.run_words(*MODULE, "why")
        self.assertIn("ValueError", told)
        self.assertIn("fail(", told)
        self.assertNotIn("hunter22", told)

    def test_every_way_in_is_the_same_command(self) -> None:
        if not INSTALLED:
            self.skipTest("the scripts are those of an installed package")
        version = self.run_words(*MODULE, "--version")
        self.assertIn(kolo_c.__version__, version)
        for name in ("kolo-c", "kolo_c"):
            self.assertEqual(version, self.run_words(str(SCRIPTS / name), "--version"))
        self.write("print('ran')")
        self.assertEqual(
            "ran\n", self.run_words(str(SCRIPTS / "kolo-c"), "run", "-q", "program.py")
        )

    def test_the_doctor_finds_everything_in_place(self) -> None:
        said = self.run_words(*MODULE, "doctor")
        self.assertIn(_kolo.sqlite_version, said)

    def test_a_trace_is_read_in_the_process_that_is_recorded(self) -> None:
        self.write(IN_ONE_PROCESS)
        self.assertEqual("ok\n", self.run_words(sys.executable, "program.py"))
        self.assertIn("smoke", self.run_words(*MODULE, "list"))
        (segment,) = self.folder.glob(".kolo_c/segments/*.db")
        database = sqlite3.connect(segment)
        self.assertEqual(
            [("ok",)], database.execute("PRAGMA integrity_check").fetchall()
        )
        database.close()

    def test_blocks_are_compressed_and_read(self) -> None:
        self.write(PROGRAM)
        self.run_words(*MODULE, "run", "--quiet", "program.py", code=1)
        (segment,) = self.folder.glob(".kolo_c/segments/*.db")
        database = sqlite3.connect(segment)
        encodings = database.execute("SELECT DISTINCT encoding FROM block_data")
        self.assertIn((1,), encodings.fetchall())
        database.close()
        self.assertTrue('"2999text"' in self.run_words(*MODULE, "dump"))


@unittest.skipUnless(INSTALLED, "of an installed package")
class Contents(unittest.TestCase):
    """What pip has put where."""

    def setUp(self) -> None:
        self.distribution = importlib.metadata.distribution("kolo-c")
        self.names = {str(path) for path in self.distribution.files or ()}

    def test_the_package_is_whole(self) -> None:
        for name in ("py.typed", "_kolo.pyi", "store/schema.sql", "__main__.py"):
            self.assertIn(f"kolo_c/{name}", self.names)
            self.assertTrue((Path(kolo_c.__file__).parent / name).is_file(), name)

    def test_nothing_else_was_installed(self) -> None:
        tops = {name.split("/")[0] for name in self.names if name[0] != "."}
        folders = {f"kolo_c-{kolo_c.__version__}.dist-info", "kolo_c", "kolo_c.libs"}
        # What Python runs at its start, and does nothing unless KOLO_C is set.
        start = {"kolo_c.pth", "kolo_c.start", "_kolo_c_start.py", "__pycache__"}
        self.assertEqual(set(), tops - folders - start)
        strays = [name for name in self.names if name.endswith((".c", ".h", ".o"))]
        self.assertEqual([], strays)

    def test_the_metadata_says_what_is_so(self) -> None:
        metadata = self.distribution.metadata
        self.assertEqual("kolo-c", metadata["Name"])
        self.assertEqual(kolo_c.__version__, metadata["Version"])
        self.assertEqual(">=3.10", metadata["Requires-Python"])
        self.assertIn("zstd", metadata.get_all("Provides-Extra") or [])
        scripts = {
            entry.name: entry.value
            for entry in self.distribution.entry_points
            if entry.group == "console_scripts"
        }
        main = "kolo_c.cli.main:main"
        self.assertEqual({"kolo-c": main, "kolo_c": main}, scripts)
        for licence in ("LICENSE", "zstd.txt"):
            found = [name for name in self.names if name.endswith(f"/{licence}")]
            self.assertEqual(1, len(found), licence)

    def test_libraries_come_along_or_are_the_system_s(self) -> None:
        if not Path("/proc/self/maps").exists():
            self.skipTest("no /proc/self/maps")
        mapped = Path("/proc/self/maps").read_text("utf-8")
        ours = [line for line in mapped.split() if "kolo_c.libs/" in line]
        self.assertEqual(any("kolo_c.libs/" in name for name in self.names), bool(ours))


@unittest.skipUnless(CLEAN_ROOT, "of a root without tools")
class CleanRoot(unittest.TestCase):
    """Where script/wheel runs this there is nothing that could have helped."""

    def test_there_is_no_compiler_and_no_header(self) -> None:
        for name in ("cc", "gcc", "clang", "c++", "ld", "make", "pkg-config"):
            self.assertIsNone(shutil.which(name), name)
        self.assertFalse(Path("/usr/include").exists())

    def test_the_libraries_of_the_build_are_not_there(self) -> None:
        for folder in ("/lib", "/usr/lib", "/lib64", "/usr/lib64"):
            for pattern in ("libmsgpack*", "libzstd*"):
                self.assertEqual([], list(Path(folder).rglob(pattern)))

    def test_the_process_has_two_copies_of_sqlite(self) -> None:
        mapped = Path("/proc/self/maps").read_text("utf-8").split()
        copies = {word for word in mapped if "libsqlite3" in word}
        self.assertEqual(2, len(copies), copies)


if __name__ == "__main__":
    unittest.main()
