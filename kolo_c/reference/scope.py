"""Whose a call is: which trace, which task. Twin of src/session/scope.c.

The C core looks it up when the thread state's context has changed (each step of a task
runs in its own context, and so does a greenlet) or a trace began or ended. Python
cannot see that, so what it depends on is compared with each call: the context variable,
and the running task. That is asyncio's, or a greenlet.

Threads: the thread itself; definitions under the session's lock.
Owns: the table of tasks: weak references and numbers.
Fails: by leaving the thread outside every trace, or without a task.
"""

from __future__ import annotations

import sys
from _thread import get_ident, get_native_id
from types import CoroutineType, FunctionType, GeneratorType, ModuleType
from weakref import ref

from kolo_c.reference import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kolo_c.reference.session import Session
    from kolo_c.reference.thread import Thread
    from kolo_c.reference.traces import Trace

_IS_LINUX = sys.platform == "linux"
TASKS_MOST = 65536
SCOPE_PAUSED = 0xFFFFFFFF
"""What the scope variable has where nothing is recorded (kolo_c/scope.py)."""

_IN_C = type(len)
_name_of = type.__dict__["__name__"].__get__  # a metaclass may have another
_HAS_C_TASKS = sys.implementation.name == "cpython"


def check(thread: Thread) -> None:
    """Look the scope up again where it may have changed."""
    session = thread.session
    if (
        thread.scope_generation != session.scope_generation
        or thread.scope_number != _current_number(session)
        or not _is_same_task(thread.scope_task, _current_task(session))
        or thread.greenlet != _current_greenlet(session)
    ):
        refresh(thread)


def refresh(thread: Thread) -> None:
    """Look the scope up again."""
    session = thread.session
    if session.aside:
        session.reap()
    number = thread.greenlet
    if not session.dead and session.open:
        number = _current_greenlet(session)
    if number == thread.greenlet:
        _look_up(thread)
        return
    session.leave_greenlet(thread)
    thread.greenlet = number
    _look_up(thread)
    session.enter_greenlet(thread)


def _look_up(thread: Thread) -> None:
    """The trace and the task."""
    session = thread.session
    thread.scope_generation = session.scope_generation
    thread.scope_number = _current_number(session)
    thread.scope_task = _remembered(_current_task(session))
    thread.stream = None
    thread.keep_bits = 0
    thread.sees_watched = False
    thread.task = 0
    thread.paused = False
    if session.dead or not session.open:
        return
    if thread.scope_number == SCOPE_PAUSED:
        thread.paused = True
        _find_task(session, thread)  # coroutines recorded before are followed
        return
    trace = _current_trace(session, thread.scope_number)
    if trace is None:
        thread.sees_watched = True  # a boundary may begin here
        return
    with session.lock:
        thread.stream = thread.stream_of(trace)
    thread.keep_bits = trace.keep_bit
    thread.sees_watched = True
    _find_task(session, thread)


# ---- the trace ----


def _current_number(session: Session) -> int:
    """What the context variable says; 0: nothing."""
    number = session.scope_variable.get(0)
    return number if isinstance(number, int) else 0


def _current_trace(session: Session, number: int) -> Trace | None:
    """The trace ``number``, if it is open, the one for what came after its end, else
    the process's."""
    found = _open_trace(session, number)
    if found is None and number != 0 and session.find_late is not None:
        found = _open_trace(session, session.find_late(number))
    return found or session.default_trace or session.process_trace


def _open_trace(session: Session, number: int) -> Trace | None:
    for trace in session.traces:
        if number and trace.number == number and trace.open:
            return trace
    return None


def _is_main_thread(thread: Thread) -> bool:
    """Whether the running thread, ``thread``, is the process's first.

    For a process that has not imported threading, and has no other in most cases.
    """
    if _IS_LINUX:
        return get_native_id() == system.getpid()
    return thread.number == 1


def announce(thread: Thread, trace: Trace) -> bool:
    """Define the trace and the running thread, if that has not been done.

    It is about to write its first record in it. False where no block is to be had.
    """
    session = thread.session
    if trace.number == 0:
        return True  # it has ended, and keeps what it has
    with session.lock:
        _announce_thread(session, thread)
        return session.announce(trace) and thread.announced


def _announce_thread(session: Session, thread: Thread) -> None:
    if thread.announced:
        return
    ident = get_ident()
    name = None
    threads = sys.modules.get("threading")
    if type(threads) is ModuleType:
        active = vars(threads).get("_active")
        if type(active) is dict:
            # An attribute, not the property; where a subclass has made one of it, it
            # is not asked.
            fields = getattr(active.get(ident), "__dict__", {})
            name = fields.get("_name")
        elif _is_main_thread(thread):
            name = "MainThread"
    elif _is_main_thread(thread):
        name = "MainThread"  # as threading would call it
    thread.announced = (
        session.definitions.thread(
            thread.number,
            name if type(name) is str else None,
            ident,
            get_native_id(),
        )
        != 0
    )


# ---- the task ----


def use_asyncio(
    session: Session,
    running_loop: Callable[[], Any],
    current_task: Callable[[Any], Any] | dict[Any, Any],
) -> None:
    """asyncio has been imported: tasks are looked up from now on."""
    session.running_loop = running_loop
    session.current_task = current_task
    session.scope_generation += 1


def _has_asyncio(session: Session) -> bool:
    """Find the functions, once the program has imported asyncio.

    On CPython both are C functions of _asyncio; where the program replaced them by
    Python ones, tasks are not looked up. On other Pythons there are no C functions.
    """
    if session.current_task is not None:
        return True
    if _HAS_C_TASKS:
        names = _names_of("_asyncio")
        task = names.get("current_task")
        if task is None:  # 3.10, 3.11: the function is Python's; the dict is C's
            task = names.get("_current_tasks")
        loop = names.get("_get_running_loop")
        if type(loop) is not _IN_C or type(task) not in (_IN_C, dict):
            return False
    else:
        loop = _names_of("asyncio.events").get("_get_running_loop")
        task = _names_of("asyncio.tasks").get("_current_tasks")
        if type(loop) not in (_IN_C, FunctionType) or type(task) is not dict:
            return False
    session.running_loop = loop
    session.current_task = task
    return True


def _names_of(module: str) -> dict[str, Any]:
    """Nothing where its import is not over: a C module has functions by then, and no
    state yet. Calling one crashes."""
    found = sys.modules.get(module)
    if type(found) is not ModuleType:
        return {}
    names = vars(found)
    importing = getattr(names.get("__spec__"), "_initializing", False) is True
    return {} if importing else names


def _current_task(session: Session) -> Any:
    """The task that runs on this thread, or None."""
    if not _has_asyncio(session):
        return None
    assert session.running_loop is not None
    try:
        loop = session.running_loop()
        if loop is None:
            return None
        if isinstance(session.current_task, dict):
            # Loops hash by identity unless a program's own loop says otherwise.
            return session.current_task.get(loop)
        assert session.current_task is not None
        return session.current_task(loop)
    except Exception:
        return None


def _remembered(task: Any) -> Callable[[], Any]:
    """What gives ``task`` again as long as it lives: the next one may have its address,
    and nothing of the program lives longer for our having held it."""
    if task is None:
        return _no_task
    try:
        return ref(task)
    except TypeError:  # a task of the program's own making: looked up each time
        return _some_task


def _no_task() -> None:
    return None


def _some_task() -> object:
    return _some_task


def _is_same_task(remembered: Callable[[], Any] | None, task: Any) -> bool:
    if task is None:  # a weak reference gives None, too, once its task has ended
        return remembered is _no_task
    return remembered is not None and remembered() is task


def _find_task(session: Session, thread: Thread) -> None:
    thread.task = thread.greenlet
    task = _current_task(session)
    if task is not None:
        thread.task = _task_number(session, task)


def _task_number(session: Session, task: Any) -> int:
    key = id(task)
    known = session.tasks.get(key)
    # The weak reference tells a task from a dead one whose address came back.
    if known is not None and known[0]() is task:
        return known[1]
    if len(session.tasks) >= TASKS_MOST:
        session.tasks.clear()  # those that live are defined once more
    with session.lock:
        number = _define_task(session, task)
    if number != 0:
        try:
            session.tasks[key] = ref(task), number
        except TypeError:  # a task of the program's own making
            pass
    return number


def _define_task(session: Session, task: Any) -> int:
    """Write the definition of ``task``.

    Only asyncio's own Task type is asked for its name and coroutine: a subclass may be
    Python.
    """
    name = None
    qualname = None
    if _is_greenlet(session, task):
        session.greenlet_count += 1
        name = f"{_name_of(type(task))}-{session.greenlet_count}"
        return session.definitions.task(name, None)
    names = _names_of("_asyncio" if _HAS_C_TASKS else "asyncio.tasks")
    if type(task) is names.get("Task"):
        name = task.get_name()
        coroutine = task.get_coro()
        if type(coroutine) in (CoroutineType, GeneratorType):
            qualname = coroutine.__qualname__
    return session.definitions.task(
        name if type(name) is str else None,
        qualname if type(qualname) is str else None,
    )


# ---- the greenlet ----


def _has_greenlets(session: Session) -> bool:
    """greenlet's own functions, once the program has imported it."""
    if session.current_greenlet is not None:
        return True
    names = _names_of("greenlet._greenlet")
    current, kind = names.get("getcurrent"), names.get("greenlet")
    if type(current) is not _IN_C or type(kind) is not type:
        return False
    session.current_greenlet = current
    session.greenlet_type = kind
    session.greenlet_parent = kind.__dict__["parent"]
    return True


def _is_greenlet(session: Session, task: Any) -> bool:
    kind = session.greenlet_type
    return kind is not None and issubclass(type(task), kind)


def _current_greenlet(session: Session) -> int:
    """The number of the greenlet that runs on this thread; 0 for the first, whose calls
    are the thread's."""
    if not _has_greenlets(session):
        return 0
    current = session.current_greenlet()
    # As the type has it: a subclass may have a property of this name.
    if session.greenlet_parent.__get__(current) is None:
        return 0
    return _task_number(session, current)
