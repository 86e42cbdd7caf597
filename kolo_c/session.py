"""The session: the live act of tracing, one a process, from start to stop.

Opens the store, starts the process's trace, attaches the tracer to every thread,
follows forks, and puts everything back at the end. The runner, ``kolo_c.trace`` and the
integrations use it; what happens per event is in the core.

Threads: ``start`` and ``stop`` from one thread at a time; the rest from any.
Owns: the core's session, the hooks into ``threading`` and ``os.register_at_fork``.
Fails: ``start`` raises KoloError; nothing else raises into the program.
"""

from __future__ import annotations

import os
import sys
import time

from kolo_c.core import load_core
from kolo_c.core_options import options_of, problems_of, rules_of, unseen
from kolo_c.errors import TracerError, described, own_error
from kolo_c.facts import TOTAL_BYTES, OpenTraces, TraceFacts, kept_name
from kolo_c.filter_sets import FilterSets, MainText
from kolo_c.forks import follow_forks
from kolo_c.hook import load_hook
from kolo_c.identifiers import TICKING, trace_id, ulid
from kolo_c.plugins.boundaries import Boundaries
from kolo_c.plugins.registry import Registry
from kolo_c.process_info import (
    PLUGIN_COSTS,
    process_info,
    read_counters,
    skipped_of,
    to_json,
)
from kolo_c.project import create_store, keep_bounds, note_bounds
from kolo_c.scope import SCOPE, SKIPPED, VARIABLE
from kolo_c.summary import Summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import CodeType
    from typing import Any

    from kolo_c.config import Config
    from kolo_c.filter import Filter
    from kolo_c.project import Project
else:
    CodeType = type((lambda: None).__code__)  # as types has it, 0.1 ms cheaper

_CLOSE_SECONDS = 30.0


class Session:
    """One recording of this process, or of a part of its life."""

    def __init__(
        self,
        config: Config,
        project: Project,
        filter: Filter,
        *,
        name: str,
        kind: str = "process",
        argv: Sequence[str],
        problems: Sequence[str] = (),
        line: tuple[tuple[str, str], ...] = (),
        always: bool = False,
        replace_profiler: bool = False,
        later: bool = False,
        first_pid: int = 0,
        main_file: str = "",
        main_source: str | None = None,
        whole: bool = True,
    ) -> None:
        """Prepare; nothing is opened or attached before ``start``.

        ``name`` and ``kind`` are of the trace, ``argv`` is of the program, ``line`` is
        where it comes from (kolo_c.follow): ids of its parent first. With
        ``always`` the trace is stored although nothing may be kept in it; with
        ``later`` no file is made before something is kept. With ``first_pid``, which
        is that of the process that a person started, children are recorded too.
        ``main_file`` is what the program's own code calls its file where it has none.
        Where it is not ``whole``, nothing outside boundaries is recorded.
        """
        self.config = config
        self.project = project
        self._filters = FilterSets(filter)
        self._not_begun: dict[str, int] = {}
        """By the reason, how many traces could not be."""
        self._set_of: dict[int, int] = {}
        """By number of a boundary's trace, the set of its filters; not that of 0."""
        self.kind = kind
        self.argv = tuple(argv)
        self.traces = OpenTraces(TraceFacts(trace_id(), name))
        self.process_id = ulid()
        self._problems = list(problems)
        self._line = line
        self._parent = line[0][1] if line else None
        self._parent_process = line[0][0] if line else None
        self._always = always
        self._replace_profiler = replace_profiler
        self._later = later
        self.bounds_wait = False
        """Whether the store's bounds are left to the writer's thread."""
        self._first_pid = first_pid
        self._main = MainText(main_file, main_source)
        self.boundaries = Boundaries(self)
        self._whole = whole
        self._above = self.trace_id if whole else self._parent
        self._core: Any = None
        self._names = "", ""
        self._native: Any = None
        self._number = 0
        self._started_ns = 0
        self._thread_hook: Any = None
        self._summary: Summary | None = None

    @property
    def core(self) -> Any:
        """The module of the core that records."""
        return self._core

    @property
    def native(self) -> Any:
        """The core's session."""
        return self._native

    @property
    def filter(self) -> Filter:
        """What the process's trace keeps and skips."""
        return self._filters.own

    @property
    def trace_id(self) -> str:
        """The id of the process's trace."""
        return self.traces.process.id

    @property
    def name(self) -> str:
        """The name of the process's trace."""
        return self.traces.process.name

    # ---- life ----

    def start(self) -> None:
        """Open the store and attach; raises KoloError where that cannot be done."""
        if SCOPE.session is not None:
            raise TracerError(
                "this process is being recorded already",
                "Inside a session use kolo_c.trace(), which joins it.",
            )
        self._core = load_core(self.config.core)
        core = "c" if self._core.__name__ == "kolo_c._kolo" else "python"
        self._names = core, load_hook(self.config.hook, core)
        if TICKING:
            self._core.tick(True)
        try:
            self.traces.process.name = kept_name(self._core.mask_text, self.name)
            if not self._later:
                create_store(self.project.store)
                self.bounds_wait = keep_bounds(self.project.store, self.config, core)
            self._native = self._open()
            keep_ns = int(self.config.keep_days * 86_400e9)
            most = self.config.max_bytes
            self._native.keep_bounds(most, keep_ns, self.bounds_wait)
            self.plugins = Registry(self._native, self.config.plugins)
        except OSError as error:
            raise TracerError(
                f"{self.project.store}: the store cannot be written: {error}",
                "Make it writable, or set KOLO_C_PATH to a directory that is.",
            ) from error
        except RuntimeError as error:
            raise TracerError(str(error)) from error
        except Exception as error:
            raise own_error(error) from error
        try:
            self._started_ns = time.monotonic_ns()
            self._number = self._native.begin_trace(
                self.trace_id,
                self.kind,
                self.name,
                self._parent,
                self.traces.process.text(),
                of_process=self._whole,
                always=self._always,
            )
            self.traces.start(self._number, self._native, self._whole)
            self.plugins.start()
            if self.config.stdout:
                self._record_output()
            self._attach()
            SCOPE.activate(self)
            follow_forks(self._native)
            if self._first_pid:
                from kolo_c.follow import tell_children  # noqa: PLC0415 - not for each

                line = (self.process_id, self.trace_id), *self._line
                tell_children(line, self._first_pid, self.project)
        except BaseException as error:
            self._give_up()
            if not isinstance(error, Exception):
                raise
            raise own_error(error) from error

    def _record_output(self) -> None:
        from kolo_c.plugins.builtin.output import Output  # noqa: PLC0415 - rarely asked

        output = Output()
        output.session = self
        self.plugins.add(output)

    def _attach(self) -> None:
        try:
            self._core.register_profiler(self._native, replace=self._replace_profiler)
        except RuntimeError as error:
            raise TracerError(
                str(error),
                "Switch it off, or ask to replace it; while it is there nothing "
                "can be recorded.",
            ) from error
        if self.config.threads and self._names[1] == "setprofile":
            import threading  # noqa: PLC0415 - 2 ms that other hooks do without

            # threading has no public way to ask for the function on 3.10 and 3.11 only.
            self._previous_hook = getattr(threading, "_profile_hook", None)
            self._thread_hook = self._native.attach_thread
            threading.setprofile(self._thread_hook)

    def _give_up(self) -> None:
        """Put back what a start that failed has done so far."""
        if SCOPE.session is self:
            SCOPE.activate(None)
        native, self._native = self._native, None
        self._put_back_threading()
        self._core.unregister_profiler(native)
        try:
            native.close("refused", _CLOSE_SECONDS)
        except Exception:
            pass  # what made the start fail is being raised

    def _put_back_threading(self) -> None:
        hook, self._thread_hook = self._thread_hook, None
        threading = sys.modules.get("threading")
        if hook is None or threading is None:
            return
        if getattr(threading, "_profile_hook", None) is hook:
            threading.setprofile(self._previous_hook)

    def stop(
        self, cause: str = "exit", exception: BaseException | None = None
    ) -> Summary:
        """Detach, save all, close. Never raises; what went wrong is a problem.

        Stopping once more changes nothing, and gives the same summary.
        """
        if self._summary is not None:
            return self._summary
        if SCOPE.session is self:
            SCOPE.activate(None)
        counters: dict[str, Any] = {}
        if self._native is not None and not self._native.stats()["dead"]:
            counters = self._finish(cause, exception)
            self._write_log()
        self._summary = Summary.of(
            counters,
            trace_id=self.trace_id,
            store=self.project.store,
            duration_ns=time.monotonic_ns() - self._started_ns,
            problems=tuple(self.problems()),
        )
        return self._summary

    def _finish(self, cause: str, exception: BaseException | None) -> dict[str, Any]:
        native = self._native
        if exception is not None:
            self.ended_by(exception)
        self._put_back_threading()
        self.plugins.stop()
        self.boundaries.stop()
        costs = self.plugins.costs()
        if costs:  # they go with the process's trace, for the doctor
            self.traces.process.update({PLUGIN_COSTS: to_json(costs)}, TOTAL_BYTES)
        try:
            self._core.unregister_profiler(native)
        except Exception as error:
            self._problems.append(f"the recorder: {described(error)}")
        counters: dict[str, Any] = {}
        try:
            self.traces.process.update(skipped_of(self.filter), TOTAL_BYTES)
            attributes = self.traces.process.text_with(self.problems())
            self.traces.stop()
            ended = native.end_trace(self._number, cause, self.name, attributes)
            if ended is not None:
                counters = read_counters(ended[1])
        except Exception as error:
            self._problems.append(f"the recorder: {described(error)}")
        try:
            native.close(cause, _CLOSE_SECONDS)
            written, kept = counters.get("bytes", 0), native.stats().get("bounds_kept")
            note_bounds(self.project.store, self.config, written, bool(kept))
        except OSError as error:
            self._problems.append(f"not everything could be saved: {error}")
        except Exception as error:
            self._problems.append(
                f"not everything could be saved: the recorder: {described(error)}"
            )
        return counters

    def _write_log(self) -> None:
        problems = self.problems()
        if problems:
            try:
                from kolo_c.log import write_log  # noqa: PLC0415 - not for each
            except ImportError:
                return  # the program has left the folder where we are: chroot

            write_log(self.project.store, self.process_id, problems)

    def ended_by(self, error: BaseException, number: int = 0) -> dict[str, Any] | None:
        """``error`` left the program, or boundary ``number``: the trace names it.

        Gives what is said of it; None where it is no failure, or cannot be told.
        """
        if self._native is None:
            return None
        self._native.resolve(error)
        try:
            from kolo_c.failure import keep  # noqa: PLC0415 - it has failed

            return keep(error, self.traces.facts(number))
        except Exception as problem:  # imports are what the program made of them
            self._problems.append(f"how the program failed is not kept: {problem!r}")
            return None

    # ---- what the program says ----

    def keep_code(self, code: CodeType, source: str | None = None) -> None:
        """Keep ``code`` and the code within it by identity; ``source`` is its text."""
        masked = None if source is None else self._core.mask_text(source)
        self._keep(code, masked)

    def _keep(self, code: CodeType, source: str | None) -> None:
        self._native.keep_code(code, source)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._keep(constant, source)

    def region_begin(self, name: str, values: Mapping[str, Any] | None = None) -> int:
        """Begin a named region in this thread: its number, 0 outside every trace."""
        return int(self._native.region_begin(name, dict(values or {})))

    def region_end(self, region: int, exception: BaseException | None = None) -> None:
        """End region number ``region``, if this thread is still in it."""
        self._native.region_end(region, exception)

    def note(self, text: str, values: Mapping[str, Any] | None = None) -> bool:
        """Leave a note with values; False outside every trace."""
        return bool(self._native.note(text, dict(values or {})))

    def skip_code(self, code: CodeType) -> None:
        """``code`` has come to ``SKIPPED``."""
        self._native.skip_code(code)

    def set_filters(self, settings: Mapping[str, Any]) -> None:
        """From now on keep and skip by these settings; running calls end as begun.

        Raises ConfigError for what is no list of patterns.
        """
        self._filters.replace_own(self._filters.variant(settings, self.project))
        self._native.forget_verdicts()

    def begin_boundary(
        self,
        name: str,
        kind: str,
        settings: Mapping[str, Any] | None = None,
        *,
        held: bool = False,
        parent: str | None = None,
        attributes: Mapping[str, object] | None = None,
    ) -> tuple[int, str]:
        """Start a trace of its own, child of ``parent`` or of the process's: its number
        and id.

        With ``held`` it is decided at its end whether it is stored; ``attributes`` are
        what it begins with. The caller sets ``SCOPE`` to the number in the context that
        belongs to it. Its filters are the session's where ``settings`` have none.
        """
        facts = TraceFacts(trace_id(), "")
        text = self.traces.describe(facts, name, attributes or {})
        number = self.begin_described(facts, text, kind, settings, held, parent)
        return number, facts.id

    def begin_described(
        self,
        facts: TraceFacts,
        text: str,
        kind: str,
        settings: Mapping[str, Any] | None,
        held: bool,
        parent: str | None,
    ) -> int:
        """The same for one that is described already: its attributes are ``text``."""
        chosen, is_new = 0, False  # the session's own filter
        if settings:
            filter = self._filters.variant(settings, self.project)
            chosen, is_new = self._filters.use(filter)
        try:
            number: int = self._native.begin_trace(
                facts.id,
                kind,
                facts.name,
                parent or self._above,
                text,
                filter_set=chosen,
                held=held,
            )
        except BaseException as error:
            self._filters.release(chosen)
            if isinstance(error, RuntimeError):
                words = str(error)
                self._not_begun[words] = self._not_begun.get(words, 0) + 1
                raise TracerError(words) from error
            raise
        if chosen:
            self._set_of[number] = chosen
        if is_new:
            self._native.forget_verdicts()
        self.traces.begin(number, facts)
        return number

    def default_boundary(self, number: int) -> None:
        """From now on what has no trace of its own belongs to this boundary's.

        That is the rest of the process while a test runs: other threads, servers.
        With 0 it belongs to the process's trace again.
        """
        self.traces.set_default(number)
        self._native.default_trace(number)

    def close_boundary(self, number: int) -> None:
        """Nothing more comes to a held one; ``end_boundary`` decides later."""
        self._native.close_trace(number)

    def end_boundary(
        self,
        number: int,
        cause: str,
        *,
        stored: bool = True,
        name: str = "",
        attributes: Mapping[str, object] | None = None,
    ) -> None:
        """End a trace that ``begin_boundary`` started, under another name, with more
        attributes.

        One that was held leaves nothing behind where it is not to be ``stored``.
        """
        facts = self.traces.end(number)
        if facts is None:
            return  # with its session
        with facts.lock:
            text = self.traces.describe(facts, name or facts.name, attributes or {})
        self.end_described(number, facts, cause, text, stored)

    def end_described(
        self, number: int, facts: TraceFacts, cause: str, text: str, stored: bool
    ) -> None:
        """The same for one that ``traces`` have ended, with its attributes as text."""
        if self._set_of:
            self._filters.release(self._set_of.pop(number, 0))
        self._native.end_trace(number, cause, facts.name, text, stored=stored)

    def flush(self, timeout: float = 2.0) -> bool:
        """Save everything recorded so far; False when ``timeout`` seconds passed."""
        return bool(self._native.flush(timeout))

    def problems(self) -> list[str]:
        """What a person should know: settings, filters, mapping, profilers, errors."""
        found = [*self._problems, *self.project.notes, *self.filter.problems]
        found += unseen(self.config, self._names[1])
        stats = self._native.stats() if self._native is not None else {}
        found += problems_of(stats, found)
        for reason, count in self._not_begun.items():
            were = "1 trace was" if count == 1 else f"{count:,} traces were"
            found.append(f"{were} not begun, whose calls are in others: {reason}")
        if self._native is not None:
            found += self.plugins.all_problems()
        return list(dict.fromkeys(found))

    # ---- the core's session ----

    def _open(self) -> Any:
        info = process_info(
            self.config,
            self.project,
            self.argv,
            self._problems,
            self._parent_process,
            self._core.mask_text,
            core=self._names[0],
            hook=self._names[1],
        )
        return self._core.Session(
            **options_of(self.config),
            directory=os.path.join(self.project.store, "segments"),
            process_id=self.process_id,
            info=to_json(info),
            decide=self._decide,
            decide_file=self._decide_file,
            scope_variable=VARIABLE,
            **self.boundaries.handlers(self._above),
            load_plugin=self._load_plugin,
            thread_begins=self._thread_begins,
            skipped=SKIPPED,
            hook=self._names[1],
            new_threads=self.config.threads,
            later=self._later,
        )

    def _decide(
        self, code: CodeType, path: str, module: str | None, qualname: str
    ) -> int | dict[str, Any]:
        """Asked by the core, once per code object whose file alone does not decide."""
        if path == self._main.file and self._main.is_it(code, sys._getframe()):
            self._native.forget_verdicts()
            if self._main.code is not None:
                self.keep_code(code, self._main.source)
                return 1
        bits, options = self._filters.decide(path, module, qualname)
        if bits == 0 or options is None:
            return bits
        return {**rules_of(options), "keep_bits": bits}

    def _decide_file(self, path: str) -> bool | None:
        """Asked by the core once per file; None sends it to ``_decide``."""
        if path == self._main.file:
            return None
        return self._filters.decide_file(path)

    def _thread_begins(self) -> None:
        """Told by the core in a thread whose first event is setprofile's."""
        from kolo_c.plugins.builtin import carry  # noqa: PLC0415 - with threads only

        carry.adopt_running(self)

    def _load_plugin(self, index: int) -> None:
        """Asked by the core when code is met that a built-in plugin watches."""
        self.plugins.load(index)

    # ---- fork ----

    def continue_in_child(self) -> None:
        """Start a trace of the child's own, linked to this one, if it is followed."""
        if not self.config.follow:
            native = self._native
            self._give_up()
            self._native = native  # whoever holds this asks it, and is told nothing
            self.plugins.stop()
            return
        SCOPE.activate(None)
        from kolo_c.follow import stored_line  # noqa: PLC0415 - for a fork alone

        child = Session(
            self.config,
            self.project.with_(notes=()),
            self.filter,
            name=f"{self.name} (forked)",
            argv=self.argv,
            problems=self._problems,
            line=stored_line(
                ((self.process_id, self.trace_id), *self._line), self.project.store
            ),
            replace_profiler=self._replace_profiler,
            later=True,
            first_pid=self._first_pid,
            whole=self._whole or self.traces.has_default(),
        )
        try:
            child.start()
        except Exception as error:  # the child goes on, unrecorded
            self._problems.append(f"a forked child is not recorded: {error}")
            self._write_log()
        # The parent's is let go of now: our threads point to the child's session.
        self._native = child._native
        self._adopt(child)

    def _adopt(self, child: Session) -> None:
        """In the child, whoever holds the parent's session stops the child's."""
        self.traces = child.traces
        self.plugins = child.plugins
        self.boundaries = child.boundaries
        self.process_id = child.process_id
        self._number = child._number
        self._started_ns = child._started_ns
        self._thread_hook = child._thread_hook
        if SCOPE.session is child:
            SCOPE.activate(self)
