"""Tasks of queues: celery, huey, django.tasks and django_tasks, which is the same for
Django before 6.0. Who enqueues one has a record of it; its run is a trace of its own in
the worker.

celery's messages carry the id of the trace that enqueued them in a header, ``kolo_c``;
the run's trace has it as the attribute ``enqueued_by``. others have no headers: there
the task's id is what links them.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Kind, Plugin
from kolo_c.scope import SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any

TASK = Kind("task", "TASK", "purple", "task {name}[ → {status}]")
ENQUEUE = Kind("enqueue", "ENQUEUE", "purple", "{name}[ to {queue}] · {id}")
HEADER = "kolo_c"
_ATTRIBUTES = ("name", "id", "queue", "status", "enqueued_by")
_RUNS = {
    ("django.tasks.backends.immediate", "_execute_task"),
    ("django_tasks.backends.immediate", "_execute_task"),
    ("django_tasks_db.management.commands.db_worker", "run_task"),
}
"""What DjangoTask watches: modules and functions."""


class CeleryEnqueue(Plugin):
    """A message is sent: by ``delay``, ``apply_async``, ``send_task``, beat."""

    kind = ENQUEUE

    def start(self, frame: FrameType) -> Mapping[str, Any]:
        """The message is made; its headers tell the worker where it comes from."""
        message = local(frame, "message")
        headers, body = message[0], message[2]
        fields: dict[str, Any] = {
            "name": local(frame, "name"),
            "id": headers.get("id"),
            "queue": _queue_name(local(frame, "queue") or local(frame, "routing_key")),
        }
        fields.update(_arguments(body))
        if headers.get("eta"):
            fields["eta"] = headers["eta"]
        session = SCOPE.session
        found = None if session is None else session.traces.current()
        if found is not None and type(headers) is dict:
            headers.setdefault(HEADER, found[1].id)
        return fields


class CeleryTask(Plugin):
    """A task runs, in a worker or eagerly."""

    kind = TASK
    boundary = True
    attributes = _ATTRIBUTES

    def when(self, frame: FrameType) -> bool:
        """Not of the function of the module that has this name."""
        return frame.f_code.co_varnames[:1] == ("uuid",)

    def start(self, frame: FrameType) -> Mapping[str, Any]:
        """It begins."""
        request = local(frame, "request")
        said = request if isinstance(request, dict) else {}
        delivery = said.get("delivery_info") or {}
        fields: dict[str, Any] = {
            "name": local(frame, "name") or said.get("task"),
            "id": local(frame, "uuid"),
            "queue": delivery.get("routing_key"),
            "args": local(frame, "args"),
            "kwargs": local(frame, "kwargs"),
        }
        if said.get("retries"):
            fields["retries"] = said["retries"]
        sender = said.get(HEADER)
        if isinstance(sender, str):
            fields["enqueued_by"] = sender
        return fields

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """celery makes a result of it, whatever it is."""
        if exception is not None or not isinstance(value, tuple):
            return {"status": "FAILURE"}
        result, info = value[0], value[1]
        if info is None:
            return {"status": "SUCCESS", "result": result}
        facts = _slots(info, ("state", "retval"))
        fields: dict[str, Any] = {"status": facts["state"]}
        if isinstance(facts["retval"], BaseException):
            fields["exception"] = facts["retval"]
        return fields


class HueyEnqueue(Plugin):
    """A task is put into huey's queue."""

    kind = ENQUEUE

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None for groups, whose tasks come here one by one."""
        state = _state(local(frame, "task"))
        if "id" not in state or "args" not in state:
            return None
        fields = _huey_fields(local(frame, "self"), local(frame, "task"))
        if state.get("eta") is not None:
            fields["eta"] = state["eta"]
        return fields


class HueyTask(Plugin):
    """A task runs, in a worker or immediately."""

    kind = TASK
    boundary = True
    attributes = _ATTRIBUTES

    def start(self, frame: FrameType) -> Mapping[str, Any]:
        """It begins."""
        return _huey_fields(local(frame, "self"), local(frame, "task"))

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """huey has caught what it raised."""
        caught = local(frame, "exception")
        if exception is not None or caught is not None:
            fields: dict[str, Any] = {"status": "FAILURE"}
            if isinstance(caught, BaseException):
                fields["exception"] = caught
            return fields
        return {"status": "SUCCESS", "result": local(frame, "task_value")}


class DjangoEnqueue(Plugin):
    """A task of ``django.tasks`` is handed to its backend."""

    kind = ENQUEUE

    def start(self, frame: FrameType) -> Mapping[str, Any]:
        """It has no id yet."""
        return {
            **_django_fields(local(frame, "self")),
            "args": local(frame, "args"),
            "kwargs": local(frame, "kwargs"),
        }

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> Mapping[str, Any] | None:
        """It has one."""
        return _slots(value, ("id",)) if exception is None else None


class DjangoTask(Plugin):
    """A task of ``django.tasks`` runs: at once, by Django's own backend, or in a worker
    of django-tasks-db. Both catch what it raises, and say how it ended."""

    kind = TASK
    boundary = True
    attributes = _ATTRIBUTES

    def start(self, frame: FrameType) -> Mapping[str, Any]:
        """It begins."""
        row = local(frame, "db_task_result")
        if row is None:
            result = local(frame, "task_result")
            return {
                **_django_fields(getattr(result, "task", None)),
                **_slots(result, ("id", "args", "kwargs")),
            }
        state = _state(row)
        given = state.get("args_kwargs")
        given = given if isinstance(given, dict) else {}
        return {
            "name": state.get("task_path"),
            "queue": state.get("queue_name"),
            "id": str(state.get("id")),
            "args": given.get("args"),
            "kwargs": given.get("kwargs"),
        }

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """As Django has it: a task whose result is no JSON has failed."""
        row = local(frame, "db_task_result")
        if row is None:
            result = local(frame, "task_result")
            facts = _slots(result, ("status", "_return_value", "errors"))
            returned, errors = facts["_return_value"], facts["errors"]
            error = _slots(errors[-1] if errors else None, ("exception_class_path",))
        else:
            facts = error = _state(row)
            returned = facts.get("return_value")
        fields: dict[str, Any] = {"status": str(facts.get("status"))}
        if fields["status"] == "SUCCESSFUL":
            fields["result"] = returned
        elif error.get("exception_class_path"):
            fields["exception"] = error["exception_class_path"]
        return fields


class DjangoCall(Plugin):
    """A task of ``django.tasks`` runs, wherever another backend has that done."""

    kind = TASK
    boundary = True
    attributes = _ATTRIBUTES

    def when(self, frame: FrameType) -> bool:
        """Not where the backend's own function has a record of it."""
        back = frame.f_back
        if back is None:
            return True
        return (back.f_globals.get("__name__"), back.f_code.co_name) not in _RUNS

    def start(self, frame: FrameType) -> Mapping[str, Any]:
        """The backend calls it, and knows its id."""
        back, task, args = frame.f_back, local(frame, "self"), local(frame, "args")
        result = None if back is None else local(back, "task_result")
        if getattr(task, "takes_context", False) is True:
            args = args[1:]  # the backend's own, which is not among what was enqueued
        return {
            **_django_fields(task),
            **_slots(result, ("id",)),
            "args": args,
            "kwargs": local(frame, "kwargs"),
        }

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """As Django calls it."""
        if exception is not None:
            return {"status": "FAILED"}
        return {"status": "SUCCESSFUL", "result": value}


def _huey_fields(huey: Any, task: Any) -> dict[str, Any]:
    state = _state(task)
    return {
        "name": state.get("name") or type(task).__name__,
        "id": state.get("id"),
        "queue": _state(huey).get("name"),
        "args": state.get("args"),
        "kwargs": state.get("kwargs"),
    }


def _django_fields(task: Any) -> dict[str, Any]:
    state = _slots(task, ("func", "queue_name"))
    function = state["func"]
    name = f"{function.__module__}.{function.__qualname__}" if function else None
    return {"name": name, "queue": state["queue_name"]}


def _arguments(body: Any) -> dict[str, Any]:
    """Of a message of celery's second protocol, or its first."""
    if isinstance(body, (tuple, list)) and len(body) >= 2:
        return {"args": body[0], "kwargs": body[1]}
    if isinstance(body, dict):
        return {"args": body.get("args"), "kwargs": body.get("kwargs")}
    return {}


def _queue_name(queue: Any) -> str | None:
    if queue is None or isinstance(queue, str):
        return queue
    name = _state(queue).get("name")
    return name if isinstance(name, str) else None


def _slots(thing: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(thing, name, None) for name in names}


def _state(thing: Any) -> dict[str, Any]:
    """What an object of a library holds."""
    try:
        found: dict[str, Any] = vars(thing)
    except TypeError:
        return {}
    return found
