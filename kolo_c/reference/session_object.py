"""``Session`` as kolo_c/session.py knows it: a session and its tracer. Twin of
src/session_object.c.

session_register.py attaches its tracer, session_traces.py begins, names and ends its
traces, session_says.py has what the program itself tells.

Threads: any; each method takes the session's lock for what it changes.
Owns: the session and its tracer.
Fails: RuntimeError, OSError, TypeError, as each method says.
"""

from __future__ import annotations

from functools import partial
from types import CodeType

from kolo_c.reference import (
    boundary,
    clock,
    fork,
    greenlet,
    hook,
    interrupt,
    session_says,
    session_traces,
)
from kolo_c.reference import session_plugins as plugins
from kolo_c.reference import session_register as register
from kolo_c.reference import verdict as verdicts
from kolo_c.reference.code import DEPTH_MAX, LOCALS_RAISE, CodeRules
from kolo_c.reference.filter import copy_limits, read_rules
from kolo_c.reference.mask import Mask
from kolo_c.reference.session import Session as Inner
from kolo_c.reference.session import SessionOptions
from kolo_c.reference.tracer import Tracer
from kolo_c.reference.value import Values
from kolo_c.reference.value_state import Limits, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import ContextVar
    from types import FrameType
    from typing import Any

_active: Session | None = None  # one a process


def active() -> Session | None:
    """The one session that is active in this process."""
    return _active


class Session:
    """A recording session of the Python core."""

    inner: Inner
    tracer: Tracer

    def __init__(
        self,
        *,
        directory: str,
        process_id: str,
        schema: str,
        schema_version: int,
        info: str,
        compress: int,
        segment_bytes: int,
        free_disk_bytes: int,
        max_trace_bytes: int,
        wait_max_ns: int,
        drop: bool,
        decide: Callable[[CodeType, str, str | None, str], int | dict[str, Any]],
        decide_file: Callable[[str], bool | None],
        rules: dict[str, Any],
        mask_words: tuple[str, ...],
        mask_exceptions: tuple[str, ...],
        scope_variable: ContextVar[int],
        open_boundary: Callable[[CodeType, int | None, Any], int],
        close_boundary: Callable[[int, Any, bool], None],
        skipped: dict[int, object],
        hook: str = "setprofile",
        new_threads: bool = True,
        caught: bool = False,
        later: bool = False,
        load_plugin: Callable[[int], None] | None = None,
        late_scope: Callable[[int], int] | None = None,
        thread_begins: Callable[[], None] | None = None,
        carrying: object = None,
        simple: object = None,
    ) -> None:
        """Open the store. RuntimeError where a session is active, OSError by it."""
        global _active
        if _active is not None and not _active.inner.dead:
            raise RuntimeError("a session is active in this process")
        if not _is_main_interpreter():
            raise RuntimeError("kolo_c traces the main interpreter only")
        self.registered = False
        self.inner = Inner(
            SessionOptions(
                directory=directory,
                process_id=process_id,
                schema=schema,
                info=info,
                schema_version=schema_version,
                compress=compress,
                segment_max_bytes=segment_bytes,
                free_disk_min_bytes=free_disk_bytes,
                max_trace_bytes=max_trace_bytes,
                wait_max_ns=wait_max_ns,
                drop=drop,
                later=later,
            )
        )
        self.inner.new_threads = new_threads
        self.inner.scope_variable = scope_variable
        self.inner.hook = _find_hook(hook)
        try:
            self.inner.open_store()
            self.tracer = self._open_tracer(
                rules, mask_words, mask_exceptions, decide, decide_file,
                open_boundary, close_boundary, skipped,
            )  # fmt: skip
            self.tracer.wants_caught = caught
            self.tracer.plugins.load = load_plugin
            self.tracer.late_scope = late_scope
            self.tracer.thread_begins = thread_begins
            self.inner.end_boundary = partial(boundary.end, self.inner)
            self.inner.find_late = partial(boundary.find_late, self.inner)
            self.inner.leave_greenlet = greenlet.leave
            self.inner.enter_greenlet = greenlet.enter
            fork.guard_forks(self.inner)
        except BaseException:
            if fork.current() is self.inner:
                fork.guard_forks(None)
            self.inner.destroy()
            raise
        _active = self

    def _open_tracer(
        self,
        rules: dict[str, Any],
        mask_words: tuple[str, ...],
        mask_exceptions: tuple[str, ...],
        decide: Callable[[CodeType, str, str | None, str], int | dict[str, Any]],
        decide_file: Callable[[str], bool | None],
        open_boundary: Callable[[CodeType, int | None, Any], int],
        close_boundary: Callable[[int, Any, bool], None],
        skipped: dict[int, object],
    ) -> Tracer:
        inner = self.inner
        default_rules = CodeRules(Options(Limits()))
        default_rules.values = True
        default_rules.locals = LOCALS_RAISE
        default_rules.max_depth = DEPTH_MAX
        read_rules(rules, default_rules)
        mask = Mask(mask_words, mask_exceptions)
        values = Values(
            copy_limits(default_rules.options.limits), mask, inner.definitions
        )
        tracer = inner.tracer = Tracer(
            inner, values, mask, default_rules, decide, decide_file,
            open_boundary, close_boundary, skipped,
        )  # fmt: skip
        return tracer

    def __del__(self) -> None:
        if not hasattr(self, "inner") or self.inner.dead:
            return
        try:
            if _active is self:
                _deactivate(self)
            self.inner.destroy()
        except Exception:
            pass  # a program that broke what Python is made of: nobody is left to tell

    # ---- attaching: session_register.py ----

    @property
    def attach_thread(self) -> Callable[[FrameType, str, Any], None]:
        """For threading.setprofile(): attaches the thread that calls it."""
        return register.ThreadHook(self)

    # ---- traces: session_traces.py ----

    def begin_trace(
        self,
        id: str,
        kind: str,
        name: str,
        parent: str | None,
        attributes: str,
        of_process: bool = False,
        always: bool = False,
        filter_set: int = 0,
        held: bool = False,
    ) -> int:
        """Start a trace; its number. ``attributes`` is JSON text."""
        number = self._keep_own(
            None, session_traces.begin_trace, self, id, kind, name, parent, attributes,
            of_process, always, filter_set, held,
        )  # fmt: skip
        if number is None:
            raise RuntimeError(self.inner.error_text)
        return int(number)

    def end_trace(
        self,
        number: int,
        cause: str,
        name: str,
        attributes: str,
        *,
        stored: bool = True,
    ) -> tuple[bool, str] | None:
        """End it; (stored, counters as JSON)."""
        return self._keep_own(  # type: ignore[no-any-return]
            None,
            session_traces.end_trace,
            self,
            number,
            cause,
            name,
            attributes,
            stored,
        )

    def close_trace(self, number: int) -> None:
        """Nothing more comes to a held trace.

        ``end_trace`` decides later whether it is stored.
        """
        self._keep_own(None, session_traces.close_trace, self, number)

    def default_trace(self, number: int) -> None:
        """From now on what has no trace of its own belongs to this one.

        With 0 to the process's again.
        """
        self._keep_own(None, session_traces.default_trace, self, number)

    def set_trace(self, number: int, name: str, attributes: str) -> bool:
        """From now on the trace has this name, and these attributes (JSON text).

        False where that cannot be written.
        """
        return bool(
            self._keep_own(
                False, session_traces.set_trace, self, number, name, attributes
            )
        )

    def hides(self, name: str, value: object) -> bool:
        """Whether the value, under this name, is a secret."""
        hide = self.tracer.values.hide
        return bool(self._keep_own(True, self._with_lock, hide, name, value))

    def hide_cells(self, name: str, rows: Sequence[object], at: int) -> bool:
        """The same of a column of those rows that are tuples; whether all are."""
        tuples = [row for row in rows if isinstance(row, tuple)]
        for row in tuples:
            if 0 <= at < tuple.__len__(row):
                self.hides(name, tuple.__getitem__(row, at))
        return len(tuples) == len(rows)

    def masked(self, text: str) -> str:
        """The text without its secrets, as a value is written."""
        masked = self.tracer.values.masked
        return str(self._keep_own("***", self._with_lock, masked, text))

    # ---- what the program says: session_says.py ----

    def region_begin(self, name: str, values: dict[str, Any]) -> int:
        """Its number; 0 where this thread is outside every trace."""
        session_says.check(name, values)
        return int(self._keep_own(0, session_says.region_begin, self, name, values))

    def region_end(self, region: int, exception: BaseException | None) -> bool:
        """False where it is not open here."""
        return bool(
            self._keep_own(False, session_says.region_end, self, region, exception)
        )

    def scope_changed(self) -> None:
        """The scope variable was set in this thread's context."""
        self._keep_own(None, session_says.scope_changed, self)

    def note(self, text: str, values: dict[str, Any]) -> bool:
        """Leave a note; False outside every trace."""
        session_says.check(text, values)
        return bool(self._keep_own(False, session_says.note, self, text, values))

    def resolve(self, exception: BaseException) -> None:
        """Name the exception to the calls that it left."""
        self._keep_own(None, session_says.resolve, self, exception)

    # ---- plugins: session_plugins.py ----

    def add_plugin(self, name: str) -> int:
        """Its number; it is defined by the time it is used."""
        return plugins.add(self, name)

    def define_plugin(
        self,
        index: int,
        kind: tuple[str, str, str, str] | None,
        when: Callable[..., Any] | None,
        start: Callable[..., Any] | None,
        finish: Callable[..., Any] | None,
        boundary: int,
        limits: tuple[int, int, int, int],
        carry: int = 0,
        meets: Callable[..., Any] | None = None,
        ignored: set[Any] | None = None,
        simple: object = None,
    ) -> None:
        """What plugin number ``index`` does; ``carry``, ``simple`` and what ``Session``
        is given as ``carrying`` and ``simple`` are for a core that does it without
        these handlers."""
        handlers = when, start, finish, meets
        plugins.define(self, index, kind, handlers, boundary, limits, ignored)

    def watch(
        self, index: int, module: str | None, qualname: str | None, path: str | None
    ) -> None:
        """It watches code that fits these patterns; None: any."""
        plugins.watch(self, index, module, qualname, path)

    def plugin_stats(self) -> list[tuple[str, int, int, int, str]]:
        """(name, calls, nanoseconds, errors, first error) of the plugins."""
        return plugins.stats(self)

    def plugin_begin(self, index: int, fields: dict[str, Any]) -> int:
        """Begin a record of its kind: the node; 0 outside every trace."""
        return int(self._keep_own(0, plugins.begin, self, index, fields))

    def plugin_end(
        self,
        node: int,
        fields: dict[str, Any] | None,
        exception: BaseException | None,
    ) -> bool:
        """False where it is not open here."""
        return bool(self._keep_own(False, plugins.end, self, node, fields, exception))

    def plugin_point(self, index: int, fields: dict[str, Any]) -> bool:
        """Begin and end at once; False outside every trace."""
        return bool(self._keep_own(False, plugins.point, self, index, fields))

    def log(self, level: int, logger: str, text: str) -> bool:
        """A log line; False outside every trace."""
        return bool(self._keep_own(False, plugins.log, self, level, logger, text))

    # ---- the rest ----

    def skip_code(self, code: CodeType) -> None:
        """It has come to ``skipped``: record no further call of it."""
        if not isinstance(code, CodeType):
            raise TypeError("a code object was expected")
        if self.inner.open and not self.inner.dead:
            self._keep_own(None, self._with_lock, verdicts.skip, self.tracer, code)

    def keep_bounds(self, max_bytes: int, keep_ns: int, now: bool) -> None:
        """C has a thread that applies the bounds of a large store; here it is done
        where a session starts (kolo_c.store.bounds)."""

    def keep_code(self, code: CodeType, source: str | None) -> None:
        """Keep this code object by identity."""
        self.tracer.kept_codes[id(code)] = source

    def when_forked(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` in the child of a fork that calls no handlers of Python's."""
        self.inner.when_forked = tell

    def flush(self, timeout: float) -> bool:
        """Save everything recorded so far; False on time-out (seconds)."""
        inner = self.inner
        if inner.dead or not inner.open:
            return False
        deadline_ns = clock.system_ns() + int(timeout * 1e9)
        return bool(self._keep_own(False, self._with_lock, self._flush, deadline_ns))

    def _flush(self, deadline_ns: int) -> bool:
        self.inner.adopt_threads()
        return self.inner.flush(deadline_ns)

    def _with_lock(self, step: Callable[..., Any], *arguments: Any) -> Any:
        with self.inner.lock:
            return step(*arguments)

    def _keep_own(
        self, otherwise: Any, step: Callable[..., Any], *arguments: Any
    ) -> Any:
        """What ``step`` gives; ``otherwise`` where an error of ours strikes in it.

        The exceptions that it is said to raise have no subclass's type.
        """
        try:
            return step(*arguments)
        except Exception as error:
            said = type(error) in (LookupError, RuntimeError, ValueError)
            if said or not interrupt.swallow(self.inner, error):
                raise
            return otherwise

    def close(self, cause: str, timeout: float) -> None:
        """Save everything, until ``timeout`` seconds have passed."""
        deadline_ns = clock.system_ns() + int(timeout * 1e9)
        inner = self.inner
        try:
            if inner.dead:
                inner.open = False
            else:
                with inner.lock:
                    inner.close(cause, deadline_ns)
        finally:
            if _active is self:
                _deactivate(self)
            # They are methods of the object that has us: let go.
            if not inner.is_busy():
                self.tracer.decide = self.tracer.decide_file = _decide_nothing
                self.tracer.open_boundary = None
                self.tracer.close_boundary = _close_nothing
                self.tracer.plugins.clear()
                self.tracer.late_scope = self.tracer.thread_begins = None

    def forget_verdicts(self) -> None:
        """Decide every code object again."""
        self._keep_own(None, self._with_lock, self._forget)

    def _forget(self) -> None:
        self.tracer.forget_verdicts()
        if self.registered:
            self.inner.hook.forget(self.tracer)

    def stats(self) -> dict[str, Any]:
        """The session's counters."""
        inner, writer = self.inner, self.inner.writer
        return {
            "lost": inner.lost_count,
            "waited_ns": inner.waited_ns,
            "errors": inner.error_count,
            "skipped": self.tracer.skipped_count,
            "kept": self.tracer.kept_count,
            "stored_bytes": writer.stored_bytes,
            "raw_bytes": writer.raw_bytes,
            "writer_ns": writer.cpu_ns,
            "blind": inner.blind_count,
            "frames": 0,
            "restored": writer.restored_count,
            "mapping_errno": inner.mapping_reason,
            "error": inner.error_text,
            "writer_error": writer.error_text,
            "tool_id": self.tracer.tool_id,
            "dead": inner.dead,
            "open": inner.open,
        }


def _decide_nothing(*_: object) -> bool:
    return False


def _close_nothing(*_: object) -> None:
    pass


def _deactivate(session: Session) -> None:
    global _active
    _active = None
    if fork.current() is session.inner:
        fork.guard_forks(None)


def _find_hook(name: str) -> Any:
    try:
        return hook.find(name)
    except ValueError as error:
        raise RuntimeError(str(error)) from None


def _is_main_interpreter() -> bool:
    """What a subinterpreter does is its own: hooks and threads are of one of them."""
    try:
        import _interpreters as known  # type: ignore[import-not-found]  # noqa: PLC0415
    except ImportError:  # 3.12 and older
        try:
            import _xxsubinterpreters as known  # type: ignore[import-not-found]  # noqa: PLC0415
        except ImportError:
            return True
    return bool(known.get_current() == known.get_main())
