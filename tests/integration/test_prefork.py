"""Servers that fork their workers, and pools: each call in the right trace and task."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import kolo_c
from tests.integration.place import Place, make_python
from tests.servers import accepts, free_port

ON = {"KOLO_C": "1"}
REQUESTS = 24
APP = """\
import os, time
import kolo_c.integrations.wsgi
def step(n): return n
def handle(n):
    step(n)
    time.sleep(0.01)
    return step(n + 1000)
def app(environ, start_response):
    answer = str(handle(int(environ["QUERY_STRING"]))).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
application = kolo_c.integrations.wsgi.KoloCMiddleware(app)
open(f"imported-{os.getpid()}", "w").close()
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the packages of the tests, and with our start-up file."""
    found = make_python(tmp_path_factory.mktemp("installed"))
    (site,) = found.parents[1].glob("lib/python*/site-packages")
    packages = "\n".join(path for path in sys.path if path.endswith("-packages"))
    (site / "b_packages.pth").write_text(packages + "\n")
    return found


@pytest.fixture
def place(tmp_path: Path, python: Path, core: str) -> Place:
    return Place(tmp_path / "project", python, core)


@pytest.fixture
def plain(tmp_path: Path, python: Path) -> Place:
    return Place(tmp_path / "project", python, "auto")


@contextlib.contextmanager
def serving(place: Place, words: list[str], port: int) -> Iterator[None]:
    """The server runs, recorded, until the block ends."""
    with (place.folder / "log").open("wb") as log:
        process = subprocess.Popen(
            words, cwd=place.folder, env=place.environ(**ON), stdout=log, stderr=log
        )
    try:
        answers = accepts(port)
        deadline = time.monotonic() + 30
        while not answers():
            said = (place.folder / "log").read_text()
            assert process.poll() is None and time.monotonic() < deadline, said
            time.sleep(0.02)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, (place.folder / "log").read_text()


def ask_all(port: int) -> list[int]:
    def ask(n: int) -> int:
        url = f"http://127.0.0.1:{port}/?{n}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            return int(answer.read())

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(ask, range(REQUESTS)))


def check_requests(place: Place, tasks: bool = False) -> None:
    """Each request has a trace, of exactly its own calls."""
    store = kolo_c.open(place.folder / ".kolo_c")
    seen = set()
    for trace in store.traces():
        assert trace.status == "complete" or trace.kind == "process"
        if trace.kind != "request":
            continue
        calls = list(trace.calls())
        assert [call.function for call in calls] == ["app", "handle", "step", "step"]
        first, second = calls[2].result, calls[3].result
        assert second == first + 1000
        assert len({call.task for call in calls}) == 1
        assert (calls[0].task is not None) == tasks
        seen.add(first)
    assert seen == set(range(REQUESTS))


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
def test_workers_of_gunicorn_have_a_trace_for_each_request(plain: Place, kind) -> None:
    pytest.importorskip("gunicorn")
    if kind == "gevent":
        pytest.importorskip("gevent")
    plain.write(app=APP)
    port = free_port()
    words = f"-m gunicorn -w 2 -k {kind} --threads 2 -b 127.0.0.1:{port} app"
    with serving(plain, [str(plain.python), *words.split()], port):
        assert ask_all(port) == [n + 1000 for n in range(REQUESTS)]
        # One that is told to end before it has come so far does not hear it.
        deadline = time.monotonic() + 30
        while len([*plain.folder.glob("imported-*")]) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    check_requests(plain, tasks=kind == "gevent")
    assert len([t for t in plain.traces() if t.row.name == "gunicorn (forked)"]) == 2


def test_workers_of_uwsgi_have_a_trace_for_each_request(plain: Place) -> None:
    """It forks without a word to Python."""
    uwsgi = shutil.which("uwsgi", path=str(Path(sys.executable).parent))
    if uwsgi is None:
        pytest.skip("there is no uwsgi")
    plain.write(app=APP)
    port = free_port()
    words = "--master --processes 2 --need-app --die-on-term --worker-reload-mercy 5"
    where = ["--http-socket", f"127.0.0.1:{port}", "--wsgi-file", "app.py"]
    home = ["--home", str(plain.python.parents[1])]
    with serving(plain, [uwsgi, *words.split(), *where, *home], port):
        assert ask_all(port) == [n + 1000 for n in range(REQUESTS)]
    check_requests(plain)


POOLS = """\
import multiprocessing, sys, threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
def double(n): return n * 2
def main(method):
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        print(list(pool.map(double, range(4))))
    with context.Pool(2, maxtasksperchild=2) as pool:
        print(list(pool.imap(double, range(10, 14), 1)))
        print(sorted(pool.imap_unordered(double, range(20, 24), 1)))
        print(pool.apply_async(double, (30,)).get())
        pool.close()
        pool.join()
    with ThreadPool(2) as pool:
        print(pool.map(double, range(40, 44)))
    with ThreadPoolExecutor(2) as pool:
        print(list(pool.map(double, range(50, 54))))
if __name__ == "__main__":
    main(sys.argv[1])
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_pools_of_each_kind_are_recorded(place: Place, method: str) -> None:
    place.write(program=POOLS)
    before = place.run("-u", "-W", "ignore", "program.py", method)
    assert before[2] == 0
    assert place.run("-u", "-W", "ignore", "program.py", method, **ON) == before
    traced = place.read
    doubled = [
        int(call.arguments[0][1])
        for number in range(len(place.traces()))
        for tree in traced.trees(number)
        for call in tree.find("double")
    ]
    wanted = {*range(4), *range(10, 14), *range(20, 24), 30}
    assert sorted(doubled) == sorted(wanted | {*range(40, 44), *range(50, 54)})


GREEN = {
    "gevent": """\
from gevent import monkey; monkey.patch_all()
import gevent, threading, time
from gevent.pool import Pool
def main():
    gevent.joinall([gevent.spawn(work, n) for n in range(5)])
    print(Pool(2).map(work, range(5, 8)))
    each = [threading.Thread(target=work, args=(n,)) for n in range(8, 10)]
    for thread in each: thread.start()
    for thread in each: thread.join()
""",
    "eventlet": """\
import os, warnings; warnings.simplefilter("ignore")
os.environ.pop("PYTEST_CURRENT_TEST", None)  # for which it keeps its warnings back
import eventlet; eventlet.monkey_patch()
import threading, time
def main():
    print(list(eventlet.GreenPool(3).imap(work, range(8))))
    each = [threading.Thread(target=work, args=(n,)) for n in range(8, 10)]
    for thread in each: thread.start()
    for thread in each: thread.join()
""",
}
WORK = """\
def step(n): return n
def work(n):
    step(n)
    time.sleep(0.002)
    step(n + 100)
    return n
main()
"""


@pytest.mark.parametrize("library", GREEN)
def test_green_threads_have_each_their_own_calls(place: Place, library: str) -> None:
    pytest.importorskip(library)
    place.write(program=GREEN[library] + WORK)
    plain = place.run("program.py")
    assert plain[1:] == ("", 0)
    assert place.run("program.py", **ON) == plain
    works = {
        call.end: call for tree in place.read.trees() for call in tree.find("work")
    }
    # setprofile's function is set anew in each of the threads: the Python core takes
    # those for threads of their own, in which calls go on that began elsewhere.
    count = 10 if place.core == "c" or sys.version_info >= (3, 12) else 8
    assert set(works) >= {f"-> {n}" for n in range(count)}
    for n in range(count):
        steps = works[f"-> {n}"].children
        assert [step.end for step in steps] == [f"-> {n}", f"-> {n + 100}"]
        assert {step.task for step in steps} == {works[f"-> {n}"].task}
    assert len({works[f"-> {n}"].task for n in range(count)}) == count
    assert place.traces()[0].count("lost") == 0
