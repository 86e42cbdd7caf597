"""Tasks of Django: by its own backend, which runs them at once, and by django-tasks-db,
whose worker is a process of its own that takes them from the database."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.integration.plugins.recording import Recorded, record
from tests.spec.tracing import environment, trace_program, write_program

SETTINGS = """
    SECRET_KEY = "x"
    USE_TZ = True
    INSTALLED_APPS = ["django_tasks_db"]
    DATABASES = {"default": {
        "ENGINE": "django.db.backends.sqlite3", "NAME": "tasks.sqlite3"}}
    TASKS = {"default": {
        "BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "mail"]}}
"""
MANAGE = """
    import os, sys
    from django.core.management import execute_from_command_line
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    if __name__ == "__main__":
        execute_from_command_line(sys.argv)
"""
JOBS = """
    from LIBRARY import task

    def work(n): return n * 2

    @task
    def double(n, password=None): return work(n)

    @task(queue_name="mail", takes_context=True)
    def attempt(context, n): return context.attempt + n

    @task
    async def later(n): return work(n)

    @task
    def fail(): raise ValueError("no such order")

    @task
    def names(): return {"tea"}
"""
CLIENT = """
    import asyncio, os, django
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    django.setup()
    import jobs
    def ask():
        print(jobs.double.enqueue(21, password=os.environ["GIVEN"]).status.name)
        print(jobs.attempt.enqueue(40).status.name)
        print(asyncio.run(jobs.later.aenqueue(4)).status.name)
        print(jobs.fail.enqueue().status.name)
        print(jobs.names.enqueue().status.name)
    ask()
"""
OUTCOMES = """
    import os, django
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    django.setup()
    from django.db import connection
    from django_tasks_db.models import DBTaskResult
    for at in DBTaskResult.objects.order_by("enqueued_at"):
        print(at.task_path, at.status, at.return_value, at.args_kwargs)
"""
STORED = """\
jobs.double SUCCESSFUL 42 {'args': [21], 'kwargs': {'password': 'hunter2'}}
jobs.attempt SUCCESSFUL 41 {'args': [40], 'kwargs': {}}
jobs.later SUCCESSFUL 8 {'args': [4], 'kwargs': {}}
jobs.fail FAILED None {'args': [], 'kwargs': {}}
jobs.names FAILED None {'args': [], 'kwargs': {}}
"""


@pytest.fixture
def library() -> str:
    """Where tasks are: Django has them since 6.0, django-tasks before."""
    django = pytest.importorskip("django")
    name = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
    pytest.importorskip(name, reason="before Django 6.0 tasks need django-tasks")
    return name


@pytest.fixture
def database(library: str) -> None:
    """What has a worker."""
    if pytest.importorskip("django").VERSION < (5, 2):
        pytest.skip("django-tasks-db knows Django from 5.2 on")
    pytest.importorskip("django_tasks_db", reason="needs django-tasks-db")


def python(project, *words) -> str:
    """What a program says that is not recorded."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


@pytest.mark.parametrize("core", ["c", "python"])
def test_a_worker_s_tasks_are_linked_by_their_ids(core, library, database, tmp_path):
    """And what they leave in the database is what they leave unrecorded."""
    files = {
        "settings.py": SETTINGS,
        "manage.py": MANAGE,
        "jobs.py": JOBS.replace("LIBRARY", library),
        "outcomes.py": OUTCOMES,
    }
    write_program(tmp_path, CLIENT, None, files)
    python(tmp_path, "manage.py", "migrate", "--verbosity", "0")
    asked = trace_program(
        tmp_path, core, "auto", CLIENT, files=files, env={"GIVEN": "hunter2"}
    )
    assert asked.stdout == "READY\n" * 5
    worker = ("manage.py", "db_worker", "--batch", "--no-startup-delay")
    traced = trace_program(
        tmp_path, core, "auto", CLIENT, "--queue-name", "*", files=files, target=worker
    )
    assert not (traced.store / "kolo_c.log").exists()
    assert python(tmp_path, "outcomes.py") == STORED

    recorded = Recorded(traced)
    client, process = recorded.traces("process")
    assert (client.name, process.name) == ("program.py", "manage.py db_worker")
    sent = [event.to_dict()["fields"] for event in client.events("enqueue")]
    assert [(at["name"], at["queue"]) for at in sent] == [
        ("jobs.double", "default"),
        ("jobs.attempt", "mail"),
        ("jobs.later", "default"),
        ("jobs.fail", "default"),
        ("jobs.names", "default"),
    ]
    ran = recorded.traces("task")
    assert [trace.name for trace in ran] == [
        "task jobs.double → SUCCESSFUL",
        "task jobs.attempt → SUCCESSFUL",
        "task jobs.later → SUCCESSFUL",
        "task jobs.fail → FAILED",
        "task jobs.names → FAILED",
    ]
    assert [trace.attributes["id"] for trace in ran] == [at["id"] for at in sent]
    assert len({at["id"] for at in sent}) == 5
    calls = [[call.function for call in trace.calls()] for trace in ran]
    assert calls == [
        ["<module>", "double", "work"],  # the worker imports what it runs
        ["attempt"],
        ["later", "work"],
        ["fail"],
        ["names"],
    ]
    about = [event.to_dict()["fields"] for at in ran for event in at.events("task")]
    assert [at["args"] for at in about] == [[21], [40], [4], [], []]
    assert [at.get("result", at.get("exception")) for at in about] == [
        *(42, 41, 8), "builtins.ValueError", "builtins.TypeError"
    ]  # fmt: skip
    assert not [*client.events("task"), *process.events("task")]
    assert "no such order" in str([call.exception for call in ran[3].calls()])
    # What is no JSON is refused after the call; Django's log has the reason.
    logged = [event.to_dict()["fields"] for event in ran[4].events("log")]
    assert [at["level_name"] for at in logged] == ["INFO", "ERROR"]
    assert "TypeError: Object of type set" in logged[1]["text"]
    assert not recorded.holds("hunter2")


def test_a_task_of_django_has_a_trace_with_its_id(library, tmp_path):
    """Its own backend runs it at once. Outside every other boundary it has a trace of
    its own."""
    recorded = record(
        tmp_path,
        """
        import django, os
        from django.conf import settings
        settings.configure(TASKS={"default": {
            "BACKEND": "LIBRARY.backends.immediate.ImmediateBackend"}})
        django.setup()
        import jobs
        def ask():
            print(jobs.double.enqueue(21).return_value)
            print(jobs.fail.enqueue().status.name)
        ask()
        """.replace("LIBRARY", library),
        files={
            "jobs.py": """
                from LIBRARY import task
                @task
                def double(n): return n * 2
                @task(queue_name="default")
                def fail(): raise ValueError("no such order")
            """.replace("LIBRARY", library)
        },
        same=False,
    )
    assert recorded.traced.stdout == "42\nFAILED\n"
    names = [trace.name for trace in recorded.traces("task")]
    assert names == ["task jobs.double → SUCCESSFUL", "task jobs.fail → FAILED"]
    sent = recorded.fields("enqueue")
    assert [at["name"] for at in sent] == ["jobs.double", "jobs.fail"]
    ran = recorded.traces("task")[0]
    assert ran.attributes["id"] == sent[0]["id"]
    assert [call.function for call in ran.calls()] == ["double"]


def test_what_another_backend_calls_has_a_trace(library, tmp_path):
    """One that is not known: it has told the id where its variable has that name."""
    files = {
        "queues.py": """
            from LIBRARY.backends.dummy import DummyBackend
            from LIBRARY.base import TaskContext

            class Backend(DummyBackend):
                def enqueue(self, task, args, kwargs):
                    task_result = super().enqueue(task, args, kwargs)
                    if task.takes_context:
                        args = (TaskContext(task_result=task_result), *args)
                    try:
                        task.call(*args, **kwargs)
                    except ValueError:
                        pass
                    return task_result

                async def aenqueue(self, task, args, kwargs):
                    task_result = super().enqueue(task, args, kwargs)
                    await task.acall(*args, **kwargs)
                    return task_result
        """,
        "jobs.py": """
            from LIBRARY import task

            @task
            def double(n): return n * 2
            @task(takes_context=True)
            def attempt(context, n): return context.attempt + n
            @task
            def fail(): raise ValueError("no such order")
        """,
    }
    recorded = record(
        tmp_path,
        """
        import asyncio
        from django.conf import settings
        settings.configure(TASKS={"default": {"BACKEND": "queues.Backend"}})
        import jobs
        def ask():
            jobs.double.enqueue(21)
            asyncio.run(jobs.double.aenqueue(n=4))
            jobs.attempt.enqueue(40)
            jobs.fail.enqueue()
        ask()
        """,
        files={name: at.replace("LIBRARY", library) for name, at in files.items()},
        same=False,
    )
    ran = recorded.traces("task")
    assert [trace.name for trace in ran] == [
        "task jobs.double → SUCCESSFUL",
        "task jobs.double → SUCCESSFUL",
        "task jobs.attempt → SUCCESSFUL",
        "task jobs.fail → FAILED",
    ]
    about = [event.to_dict()["fields"] for at in ran for event in at.events("task")]
    assert [(at["args"], at["kwargs"]) for at in about] == [
        ([21], {}), ([], {"n": 4}), ([40], {}), ([], {})
    ]  # fmt: skip
    sent = recorded.fields("enqueue")
    assert [at.get("id") for at in about] == [at["id"] for at in sent]
