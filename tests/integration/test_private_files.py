"""What is recorded is its owner's alone: modes, symbolic links, and where files go."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kolo_c.cli import main as command_line
from kolo_c.log import write_log
from kolo_c.store.bounds import keep_within_bounds
from tests.spec.tracing import Traced, environment, trace_program, write_program
from tests.unit.store_builder import ProcessBuilder

PROGRAM = """
    import os, sys, time
    def f(n): return str(n) * 100
    for n in range(3000): f(n)
    if 'die' in sys.argv: os._exit(0)
"""
RUN = ("-m", "kolo_c", "run")


def kolo(
    where: Path, *words: str, umask: int = -1, **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kolo_c", *words],
        cwd=where, env=environment(**env), capture_output=True, text=True,
        timeout=60, check=False, umask=umask,
    )  # fmt: skip


def modes(folder: Path) -> dict[str, str]:
    """Whatever is not 0700 or 0600."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode != (0o700 if path.is_dir() else 0o600):
            found[str(path.relative_to(folder))] = oct(mode)
    return found


def fill_catalogue(project: Path) -> None:
    """As many processes as are worth a catalogue."""
    for _ in range(8):
        process = ProcessBuilder()
        process.trace("other").end()
        path = process.segment_path(process.write(project))
        path.chmod(0o600)


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def test_every_file_is_its_owners_alone(core, tmp_path, open_umask):
    """Whatever the umask: while it runs, once it is dead, and what commands make."""
    project = tmp_path / "project"
    running = """
        import os, sys
        def f(n): return str(n) * 100
        for n in range(3000): f(n)
        from kolo_c.scope import active_session; active_session().flush()
        paths = [f'{root}/{name}' for root, _, names in os.walk('.kolo_c')
                 for name in names]
        print([path for path in paths if os.stat(path).st_mode & 0o777 != 0o600])
        print({path.rpartition('.')[2] for path in paths}, flush=True)
        os._exit(0)
    """
    traced = trace_program(project, core, "auto", running)
    wrong, kinds = traced.stdout.splitlines()
    assert wrong == "[]"
    assert "db-wal" in kinds and "map" in kinds
    assert modes(traced.store) == {}
    name = traced.infos()[0].id
    fill_catalogue(project)
    write_log(str(traced.store), "P", ["a problem"])
    for words in (("list",), ("pin", name), ("show", name)):
        assert kolo(project, *words, umask=0).returncode == 0
    assert (traced.store / "catalogue.db").exists()
    for words in ((name, "one.kolo"), (name, "one.json", "--speedscope")):
        assert kolo(project, "export", *words, umask=0).returncode == 0
        assert stat.S_IMODE((project / words[1]).stat().st_mode) == 0o600
    assert kolo(project, "import", "one.kolo", umask=0).returncode == 0
    assert kolo(project, "delete", "--keep", "2", "--yes", umask=0).returncode == 0
    assert kolo(project, "ignore", "x.y", umask=0).returncode == 0
    assert modes(traced.store) == {}


def test_git_leaves_a_store_alone(core, tmp_path):
    traced = trace_program(tmp_path / "project", core, "auto", PROGRAM)
    assert (traced.store / ".gitignore").read_text() == "*\n"
    if shutil.which("git"):
        subprocess.run(["git", "init", "-q"], cwd=traced.project, check=True)
        told = subprocess.run(
            ["git", "status", "--porcelain", "-uall"], cwd=traced.project, check=True,
            capture_output=True, text=True,
        ).stdout  # fmt: skip
        assert ".kolo_c" not in told and "program.py" in told


@pytest.mark.parametrize("linked", [".kolo_c", ".kolo_c/segments"])
def test_a_store_that_is_a_link_is_not_followed(core, tmp_path, linked):
    """A project that came from somebody else must not say where we write."""
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    (elsewhere / "segments").mkdir(parents=True)
    project.mkdir()
    if linked != ".kolo_c":
        (project / ".kolo_c").mkdir()
    (project / linked).symlink_to(elsewhere)
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    traced = trace_program(project, core, "auto", PROGRAM, under=RUN, env=state)
    assert "is a symbolic link" in traced.stderr
    assert [path.name for path in elsewhere.rglob("*")] == ["segments"]
    assert list((tmp_path / "state").rglob("*.db"))
    listed = kolo(project, "list", **state)
    assert listed.returncode == 0 and "program.py" in listed.stdout
    other = kolo(project, "list", XDG_STATE_HOME=str(tmp_path / "other"))
    assert other.returncode == 1
    assert f"{project / '.kolo_c'} is a symbolic link" in other.stderr


def test_a_linked_store_that_was_named_is_refused_with_the_way_out(core, tmp_path):
    (tmp_path / "real" / "segments").mkdir(parents=True)
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / ".kolo_c").symlink_to(tmp_path / "real")
    done = kolo(tmp_path, "list", KOLO_C_PATH=str(tmp_path / "named"))
    assert done.returncode == 1
    assert str(tmp_path / "named" / ".kolo_c") in done.stderr
    assert "is a symbolic link" in done.stderr and "name the folder" in done.stderr


def test_a_store_that_becomes_a_link_is_not_followed(core, tmp_path):
    """A child makes its files with its first kept call: what is there by then counts."""
    traced = trace_program(
        tmp_path / "project", core, "auto",
        """
        import os
        def f(): return 1
        os.rename('.kolo_c', 'moved')
        os.makedirs('elsewhere/segments')
        os.symlink('elsewhere', '.kolo_c')
        if os.fork() == 0:
            f()
            os._exit(0)
        os.wait()
        print(os.listdir('elsewhere'), os.listdir('elsewhere/segments'))
        """,
        clean=False,
    )  # fmt: skip
    assert traced.stdout == "['segments'] []\n"


@pytest.mark.parametrize(
    "name", ["kolo_c.log", "retention", "catalogue.db", "pins", "deleted"]
)
def test_a_link_inside_a_store_is_not_written_through(tmp_path, name, monkeypatch):
    process = ProcessBuilder()
    trace = process.trace("program.py")
    trace.end()
    store = process.write(tmp_path)
    fill_catalogue(tmp_path)
    path, target = store / name, tmp_path / "victim"
    if name in ("pins", "deleted"):
        target.mkdir()
    else:
        target.write_text("keep me")
    path.symlink_to(target)
    monkeypatch.chdir(tmp_path)
    for words in (["pin", trace.id], ["list"], ["delete", "--keep", "1", "--yes"]):
        command_line.main(words)
    write_log(str(store), "P", ["a problem"])
    keep_within_bounds(str(store), 1, 1.0)
    if target.is_dir():
        assert not list(target.iterdir())
    else:
        assert target.read_text() == "keep me"


def test_a_segment_that_is_a_link_is_named_and_not_opened(trace, tmp_path):
    whole: Traced = trace(PROGRAM)
    link = whole.store / "segments" / "01ARZ3NDEKTSV4RRFFQ69G5FAV-0.db"
    victim = tmp_path / "victim.db"
    shutil.copy(next((whole.store / "segments").glob("*.db")), victim)
    link.symlink_to(victim)
    done = kolo(whole.project, "list")
    assert done.returncode == 0 and "program.py" in done.stdout
    assert f"{link}: is a symbolic link" in done.stderr
    assert "Move it out" in done.stderr


@pytest.mark.skipif(not shutil.which("strace"), reason="strace shows what is made")
def test_nothing_is_made_outside_the_store(core, tmp_path):
    """Neither by the program that is recorded nor by those that read; SQLite, too, has
    temporary files elsewhere if it is left to itself."""
    project, log = tmp_path / "project", tmp_path / "log"
    write_program(project, PROGRAM, {"max_bytes": 1 << 20})
    strace = ["strace", "-f", "-qq", "-e", "trace=openat,open,creat,mkdir,rename,link",
              "-e", "signal=none", "-o", str(log)]  # fmt: skip
    made = set()
    python = (sys.executable, "-B", "-m", "kolo_c")
    for words in (("run", "program.py"), ("run", "program.py", "die"), ("list",),
                  ("show",), ("grep", "9"), ("delete", "--keep", "1", "--yes")):  # fmt: skip
        subprocess.run(
            [*strace, *python, *words], cwd=project, capture_output=True, check=True,
            env=environment(KOLO_C_CORE=core, HOME=str(tmp_path / "home")),
        )  # fmt: skip
        for line in log.read_text().splitlines():
            if re.search(r"O_CREAT|mkdir\(|creat\(|rename\(|link\(", line):
                made.add(re.findall(r'"([^"]*)"', line)[-1])
    store = str(project / ".kolo_c")
    assert [path for path in made if path.endswith(".db")]
    assert [path for path in made if not path.startswith((store, "/dev/"))] == []
