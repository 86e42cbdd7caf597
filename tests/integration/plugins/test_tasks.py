"""Tasks that are enqueued here and run there, in real workers with a real Redis. Those
of Django are in test_tasks_django.py."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time

import pytest

from tests.integration.plugins.recording import Recorded
from tests.servers import Server
from tests.spec.tracing import environment, trace_program, write_program

CELERY = """
    import os
    from celery import Celery
    app = Celery("jobs", broker=os.environ["REDIS"], backend=os.environ["REDIS"])
    app.conf.worker_hijack_root_logger = False

    def work(n): return n * 2

    @app.task
    def double(n, password=None): return work(n)

    @app.task(bind=True, max_retries=1)
    def flaky(self):
        if not self.request.retries:
            raise self.retry(countdown=0)
        return "at last"

    @app.task
    def fail(): raise ValueError("no such order")
"""
CELERY_CLIENT = """
    import jobs, os
    def ask():
        found = [
            jobs.double.delay(21, password=os.environ["GIVEN"]),
            jobs.flaky.delay(), jobs.fail.delay(),
        ]
        print(found[0].get(timeout=20), found[1].get(timeout=20))
        try:
            found[2].get(timeout=20)
        except ValueError as error:
            print(error)
    ask()
"""
HUEY = """
    import os
    from huey import RedisHuey
    app = RedisHuey("jobs", url=os.environ["REDIS"])

    def work(n): return n * 2

    @app.task()
    def double(n, password=None): return work(n)

    @app.task()
    def fail(): raise ValueError("no such order")
"""
HUEY_CLIENT = """
    import huey.exceptions, jobs, os
    def ask():
        found = [jobs.double(21, password=os.environ["GIVEN"]), jobs.fail()]
        print(found[0].get(blocking=True, timeout=20))
        try:
            found[1].get(blocking=True, timeout=20)
        except huey.exceptions.TaskException as error:
            print("no such order" in str(error))
    ask()
"""


@contextlib.contextmanager
def worker(project, core, *words, **variables):
    """A worker that is recorded, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "kolo_c", "run", "--quiet", *words],
        cwd=project,
        env=environment(KOLO_C_CORE=core, **variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def run(project, redis_server: Server, core, jobs, client, words):
    """The client and the worker: what was recorded, tasks by their name."""
    login = redis_server.login
    url = f"redis://:{login['password']}@{login['host']}:{login['port']}/0"
    variables = {"REDIS": url, "GIVEN": "hunter2", "C_FORCE_ROOT": "1"}
    write_program(project, client, None, {"jobs.py": jobs})
    with worker(project, core, *words, **variables):
        traced = trace_program(
            project, core, "auto", client, files={"jobs.py": jobs}, env=variables
        )
        time.sleep(0.2)
    recorded = Recorded(traced)
    return recorded, {trace.name: trace for trace in recorded.traces("task")}


@pytest.mark.parametrize(
    ("core", "pool"),
    [("c", "prefork"), ("c", "threads"), ("c", "gevent"), ("python", "solo")],
)
def test_a_celery_task_s_run_is_linked_to_who_enqueued_it(
    core, pool, redis_server, tmp_path
):
    pytest.importorskip("celery")
    if pool == "gevent":
        pytest.importorskip("gevent")
    words = f"-m celery -A jobs worker --pool={pool} -c 1 --without-mingle"
    recorded, tasks = run(
        tmp_path, redis_server, core, CELERY, CELERY_CLIENT, words.split()
    )
    assert recorded.traced.stdout == "42 at last\nno such order\n"
    assert set(tasks) == {
        "task jobs.double → SUCCESS",
        "task jobs.fail → FAILURE",
        "task jobs.flaky → RETRY",
        "task jobs.flaky → SUCCESS",
    }
    client = next(t for t in recorded.traces() if t.name.startswith("program.py"))
    sent = [event.to_dict()["fields"] for event in client.events("enqueue")]
    assert [at["name"] for at in sent] == ["jobs.double", "jobs.flaky", "jobs.fail"]
    assert sent[0]["args"] == [21]
    ran = tasks["task jobs.double → SUCCESS"]
    assert ran.attributes["id"] == sent[0]["id"]
    assert ran.attributes["enqueued_by"] == client.id
    assert [c.function for c in ran.calls()] == ["double", "work"]
    (event,) = ran.events("task")
    assert event.to_dict()["fields"]["result"] == 42
    (failed,) = tasks["task jobs.fail → FAILURE"].events("task")
    assert "no such order" in str(failed.to_dict()["fields"]["exception"])
    assert "hunter2" not in str(
        [e.to_dict() for t in recorded.traces() for e in t.events()]
    )


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_huey_task_s_run_is_linked_by_its_id(kind, redis_server, tmp_path):
    pytest.importorskip("huey")
    words = f"-m huey.bin.huey_consumer jobs.app -k {kind} -w 1 -d 0.05"
    recorded, tasks = run(tmp_path, redis_server, "c", HUEY, HUEY_CLIENT, words.split())
    assert recorded.traced.stdout == "42\nTrue\n"
    assert set(tasks) == {"task double → SUCCESS", "task fail → FAILURE"}
    client = next(t for t in recorded.traces() if t.name.startswith("program.py"))
    sent = [event.to_dict()["fields"] for event in client.events("enqueue")]
    ran = tasks["task double → SUCCESS"]
    assert ran.attributes["id"] == sent[0]["id"]
    assert "work" in [c.function for c in ran.calls()]
