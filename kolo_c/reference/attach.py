"""Which threads are ours: attaching, adopting, detaching. Twin of src/session/attach.c.

Under setprofile each thread has a profile function of its own, made by the hook and
held by nobody but the interpreter. With it goes an ``_End``, which tells that the
thread has ended, or that the function lost its place. Under monitoring threads need no
function; there a thread-local object tells the end.

Python can look at, and set, the profile function of the running thread alone. So:

- Threads that ran already when tracing began are attached with
  ``threading.setprofile_all_threads`` (3.12 and newer). Before, they are not recorded
  under setprofile. The same holds for threads made by ``_thread`` or in C.
- An audit hook tells that the program sets a profile function. What it set is seen
  afterwards, by a trace function that takes itself back at the next event in the frame
  that asked (``look_soon``); where the program has a trace function of its own, at the
  next call of ours. PyPy has no such audit event: there a displaced thread stays blind.
- An exception that our function lets through to the program makes CPython take the
  function away. The trace function puts it back, and takes our frames off the
  traceback. The audit hook refuses to have it taken where a frame at the recursion
  limit could not call it.
- When tracing ends the other threads' functions take themselves back at their next
  event.

An audit hook cannot be removed; without a session it returns at once.

Threads: the running one, with the session's lock but in the audit hook.
Owns: the audit hook, once a process. Fails: never.
"""

from __future__ import annotations

import sys
import threading
from _thread import _local, get_ident
from weakref import ref

from kolo_c.reference import clock, fork, system
from kolo_c.reference.thread import DEPTH_MAX, GUARD_FREE, GUARD_RECORD, Thread
from kolo_c.wire import Kind, Mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from kolo_c.reference.session import Session
    from kolo_c.reference.thread import ThreadStream

BLIND_BYTES = 64  # more than the mark takes
_FRAMES_LEAST = 4  # below the recursion limit: too few to call a function of ours
_TRIES = 9  # to set a function, while others set theirs

_audited = False


class _End:
    """Dies with the profile function of a thread, or with the thread's locals."""

    thread: Thread | None = None

    def __init__(self, thread: Thread) -> None:
        self.thread = thread

    def __del__(self) -> None:
        thread = self.thread
        if thread is None or thread.session.dead or not thread.session.open:
            return
        if system.getpid() != thread.session.pid:
            return  # a fork's child, not told of it yet: the blocks are the parent's
        try:
            if _has_ended(thread):
                _with_lock(thread.session, _end_thread, thread)
            else:
                _displace(thread)
        except BaseException as error:
            _keep(thread.session, error)


def _has_ended(thread: Thread) -> bool:
    """Whether the thread is being cleared, or gone (the collector may be late)."""
    if thread.is_own():
        return system._getframe(1).f_back is None
    session = thread.session
    if session.by_ident.get(thread.ident) is not thread:
        return True
    # While one forks nobody may ask: see adopt_threads().
    return not session.forking and thread.ident not in system._current_frames()


def _with_lock(session: Session, step: Callable[..., Any], *arguments: Any) -> None:
    if session.lock.acquire(True, 1.0):
        try:
            step(*arguments)
        finally:
            session.lock.release()


def _keep(session: Session, error: BaseException) -> None:
    """``error`` struck beside the events: the program's is raised again."""
    from kolo_c.reference.interrupt import swallow  # noqa: PLC0415 - a circle

    if not swallow(session, error):
        raise error


def _end_thread(thread: Thread) -> None:
    thread.let_go()
    if thread.ended:
        _forget(thread)


def _forget(thread: Thread) -> None:
    session = thread.session
    if session.by_ident.get(thread.ident) is thread:
        del session.by_ident[thread.ident]


# ---- attaching ----


def set_function(thread: Thread, function: Any) -> None:
    """Set the running thread's profile function; it is not the program that does."""
    thread.changing = True
    try:
        system.setprofile(function)
    finally:
        thread.changing = False


def _set_surely(thread: Thread, function: Any) -> None:
    """The same, again where it was refused: before 3.12 CPython does that while another
    thread is about to set one, and forgets about that thread when it has refused."""
    for _ in range(_TRIES):
        try:
            return set_function(thread, function)
        except RuntimeError:
            pass  # another one, if threads take turns that fast
    return set_function(thread, function)


def has_place(thread: Thread) -> bool:
    """Whether the running thread has our function, or needs none."""
    if not thread.session.hook.PER_THREAD:
        return True
    function = thread.function() if thread.function is not None else None
    return function is not None and system.getprofile() is function


def attach(session: Session) -> Thread:
    """Attach the running thread."""
    thread = session.by_ident.get(get_ident())
    if thread is not None and thread.attached and has_place(thread):
        return thread
    if thread is None:
        thread = Thread(session)
        session.threads.append(thread)
        session.by_ident[thread.ident] = thread
        if session.hook.PER_THREAD:
            thread.previous = system.getprofile()
    thread.attached = True
    thread.displaced = False
    thread.scope_generation = -1  # look the scope up at the next event
    end = _End(thread)
    if not session.hook.PER_THREAD:
        session.ends.end = end
        return thread
    _dismiss(thread)  # where it still is: that it goes is our doing
    function = session.hook.profile_function(thread)
    function.end = end
    thread.function = ref(function)
    _set_surely(thread, function)
    return thread


def attach_new(session: Session) -> Thread:
    """Attach a thread that has just begun: its ident may be that of one that ended."""
    thread = session.running_thread()
    if thread is not None:
        _dismiss(thread)
        _end_thread(thread)
        _forget(thread)
    thread = attach(session)
    thread.previous = None  # it was what brought us here
    return thread


def _dismiss(thread: Thread) -> None:
    """Its function goes, but that says nothing."""
    function = thread.function() if thread.function is not None else None
    if function is not None and function.end is not None:
        function.end.thread = None


def _drop_end(thread: Thread) -> None:
    """Its function is about to go: what comes in its place would see our __del__."""
    _dismiss(thread)
    function = thread.function() if thread.function is not None else None
    if function is not None:
        function.end = None


def attach_running(session: Session) -> None:
    """Attach the other threads that run, where Python can."""
    set_all = getattr(threading, "setprofile_all_threads", None)
    if set_all is None or not session.hook.PER_THREAD:
        return

    def first_event(frame: FrameType, event: str, arg: Any) -> None:
        try:
            first(frame, event, arg)
        except BaseException as error:
            _keep(session, error)

    def first(frame: FrameType, event: str, arg: Any) -> None:
        thread = session.running_thread()
        if not session.attaching or session.dead:
            system.setprofile(None)
            return
        known = thread is not None
        _with_lock(session, attach, session)
        thread = session.running_thread()
        if thread is not None and not known:
            thread.previous = None  # it was what brought us here
        function = thread.function() if thread is not None else None
        # A thread that was ours before must not miss a call's end for it.
        if function is not None and (known or event == "call"):
            function(frame, event, arg)

    own = session.running_thread()
    functions = [t.function() for t in session.threads if t.function is not None]
    for thread in session.threads:
        _dismiss(thread)
    if own is not None:
        own.changing = True
    try:
        before = getattr(threading, "_profile_hook", None)
        set_all(first_event)
        threading.setprofile(before)  # it sets that for new threads too
    finally:
        if own is not None:
            own.changing = False
            own.attached = False
            attach(session)
    del functions


def adopt_threads(session: Session) -> None:
    """Attach the threads that have no profile function; let go of those that ended.

    Not while one forks: from 3.13 on it has the lock of the list of threads meanwhile,
    and if C's handlers of a fork run Python there, waits for the GIL with it.
    """
    if not session.attaching or session.forking:
        return
    # Numbers alone: a frame of ours that holds itself would keep those of the program
    # that it was called from, and all that they hold.
    running = frozenset(system._current_frames())
    for thread in list(session.threads):
        if thread.ident not in running and not thread.is_busy():
            _end_thread(thread)
    if all(ident in session.by_ident for ident in running) or session.is_displaced():
        return
    unattached = running - frozenset(session.by_ident)
    if unattached != session.unattached:
        session.unattached = unattached
        attach_running(session)


def detach_all(session: Session) -> None:
    """Put back what was there; the other threads do it themselves."""
    own = session.running_thread()
    if own is not None and session.hook.PER_THREAD and has_place(own):
        _dismiss(own)
        set_function(own, own.previous)
        own.attached = False
    session.attaching = False
    for thread in list(session.threads):
        if thread.displaced and not thread.ended and not session.dead:
            session.blind_count += 1  # somebody has our place to the end
        _dismiss(thread)
    session.ends = _local()


def detach_self(thread: Thread) -> None:
    """The session is over: the thread puts back what was there."""
    if has_place(thread):
        set_function(thread, thread.previous)
    thread.attached = False


# ---- blind times ----


def _cut_ended(thread: Thread) -> None:
    """Drop from the stack what ended while the thread was blind.

    Calls whose frames are not on the interpreter's chain any more, and the regions
    above the last of those.
    """
    running = set()
    frame: FrameType | None = system._getframe()
    while frame is not None:
        running.add(id(frame))
        frame = frame.f_back
    highest = 0
    for at, entry in enumerate(thread.stack):
        if entry.frame is not None and id(entry.frame) in running:
            highest = at + 1
    kept: list[Any] = []
    limit = DEPTH_MAX
    for at, entry in enumerate(thread.stack):
        if at < highest and _stays(thread.stack, at, running):
            own = _limit_of(thread, at)
            entry.depth_limit = limit
            if own is not None:
                limit = min(limit, own - (at - len(kept)))
            kept.append(entry)
            continue
        thread.session.put_aside(entry)
        if not entry.unwritten:
            entry.stream.stream.drop(entry.open)
    thread.stack[:] = kept
    thread.depth_limit = limit


def _stays(stack: list[Any], at: int, running: set[int]) -> bool:
    """Whether entry ``at``, below the last that was found, still runs: a call by its
    frame, a plugin's node with its call, which stands above it, a region always."""
    while stack[at].plugin is not None and stack[at].code and at + 1 < len(stack):
        at += 1
    frame = stack[at].frame
    return frame is None or id(frame) in running


def _limit_of(thread: Thread, at: int) -> int | None:
    """The limit that entry ``at`` has set to the depth of the stack; None for none."""
    above = thread.stack[at + 1 : at + 2]
    after: int = above[0].depth_limit if above else thread.depth_limit
    return after if after < thread.stack[at].depth_limit else None


def _write_blind(thread: Thread, stream: ThreadStream, now_ns: int) -> None:
    cursor = stream.stream.begin(now_ns, Kind.MARK, 3)
    cursor.uint(Mark.BLIND)
    cursor.uint(max(now_ns - thread.detached_ns, 0))
    cursor.uint(stream.stream.depth)
    if not cursor.status:
        stream.stream.commit(cursor, now_ns)


def mark_blind(thread: Thread) -> None:
    """The thread was blind from ``detached_ns`` until now: what ended is unknown."""
    now_ns = clock.ns()
    # A block first: its header says how deep the stack was before the mark.
    for stream in list(thread.streams):
        if stream.stream.end - stream.stream.at < BLIND_BYTES:
            thread.next_block(stream, now_ns)
    _cut_ended(thread)
    for stream in list(thread.streams):
        _write_blind(thread, stream, now_ns)
    thread.session.blind_count += 1
    thread.unknown.clear()
    thread.clear_pending()


def attach_again(thread: Thread) -> None:
    """Our place is free again, or ours again: attach as before, with a mark."""
    session = thread.session
    if thread.guard != GUARD_FREE:
        return
    attach(session)
    thread.guard = GUARD_RECORD
    thread.broken = True  # until it is done
    try:
        mark_blind(thread)
        thread.broken = False
    finally:
        thread.guard = GUARD_FREE


# ---- what becomes of our place ----


def _displace(thread: Thread) -> None:
    """From now on the thread is blind."""
    if thread.attached:
        thread.attached = False
        thread.displaced = True
        thread.detached_ns = clock.ns()


def look_again(thread: Thread) -> None:
    """Who has our place now?"""
    session = thread.session
    if session.dead or not session.attaching or thread.ended:
        return
    if not session.hook.PER_THREAD:
        return
    raising, thread.raising = thread.raising, None
    if has_place(thread):
        if not thread.attached:
            _with_lock(session, attach_again, thread)
    elif system.getprofile() is not None:
        _displace(thread)
    elif raising is not None:
        _with_lock(session, attach, session)  # taken for an exception: nothing missed
    else:
        _displace(thread)
        _with_lock(session, attach_again, thread)


def look_soon(thread: Thread, frame: FrameType | None) -> None:
    """Look at the next event in ``frame``, once what happens now has happened."""
    if frame is None or system.gettrace() is not None or frame.f_trace is not None:
        return

    # An exception may leave the frame itself without an event there.
    frames = [one for one in (frame, frame.f_back) if one is not None]

    def look(at: FrameType, event: str, arg: Any) -> None:
        try:
            if at in frames or not _is_setting(thread):
                look_now(event, arg)
        except BaseException as error:
            _keep(thread.session, error)

    def look_now(event: str, arg: Any) -> None:
        system.settrace(None)
        for one in frames:
            if one.f_trace is look:
                del one.f_trace
        thread.is_looking = False
        if event == "exception":
            thread.raising = arg[1]  # that is why our function was taken away
            _hide_frames(arg[2])
        look_again(thread)

    thread.is_looking = True
    for one in frames:
        if one.f_trace is None:
            one.f_trace = look
    system.settrace(look)


def _is_setting(thread: Thread) -> bool:
    """Whether another audit hook is asked: before 3.12 none can be set then."""
    try:
        set_function(thread, system.getprofile())
    except RuntimeError:
        return True
    return False


def _hide_frames(traceback: Any) -> None:
    """Take our frames out of ``traceback``, whose first frame is the program's."""
    from kolo_c.reference.interrupt import is_own_frame  # noqa: PLC0415 - a circle

    while traceback is not None:
        below = traceback.tb_next
        while below is not None and is_own_frame(below.tb_frame):
            below = below.tb_next
        if below is not traceback.tb_next:
            traceback.tb_next = below
        traceback = below


def _is_deep() -> bool:
    """Whether the frame that is interrupted has no room for a function of ours."""
    depth = 0
    frame: FrameType | None = system._getframe()
    while frame is not None:
        depth += 1
        frame = frame.f_back
    return depth + _FRAMES_LEAST >= system.getrecursionlimit()


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Before a profile function is set, or taken away, in this thread."""
    if event != "sys.setprofile":
        return
    session = fork.current()
    if session is None or session.dead or not session.attaching:
        return
    thread = session.by_ident.get(get_ident())
    if thread is None or thread.changing or not session.hook.PER_THREAD:
        return
    if thread.raising is not None:
        if system.gettrace() is not None and not thread.is_looking:
            error, thread.raising = thread.raising, None
            raise error  # and stay
        return
    if thread.attached and not thread.in_c and _is_deep():
        raise RecursionError("maximum recursion depth exceeded")
    try:
        if thread.attached and has_place(thread):
            _displace(thread)
            _drop_end(thread)
        look_soon(thread, system._getframe().f_back)
    except BaseException as error:
        _keep(session, error)


def watch() -> None:
    """Have the program's changes of profile functions noticed from now on."""
    global _audited
    if not _audited:
        _audited = True
        sys.addaudithook(_audit)
