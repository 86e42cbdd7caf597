"""The session: the live act of tracing, one a process, from start to stop.

Opens the store, starts the process's trace, attaches the tracer to every thread,
follows forks, and puts everything back at the end. The runner, ``kolo_c.trace`` and the
integrations use it; what happens per event is in the core.

Threads: ``start`` and ``stop`` from one thread at a time; the rest from any.
Owns: the core's session, the hooks into ``threading`` and ``os.register_at_fork``.
Fails: ``start`` raises KoloError; nothing else raises into the program.
"""

from __future__ import annotations

import contextvars
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import CodeType
from typing import Any

from kolo_c import masking
from kolo_c._version import __version__
from kolo_c.config import Config
from kolo_c.core import load_core
from kolo_c.errors import TracerError
from kolo_c.filter import Decision, Filter
from kolo_c.identifiers import trace_id, ulid
from kolo_c.project import Project, create_store
from kolo_c.store.retention import apply_retention
from kolo_c.wire import SCHEMA_VERSION

_SCOPE: contextvars.ContextVar[int] = contextvars.ContextVar("kolo_c.scope")

_LOCALS = {"none": 0, "raise": 1, "all": 2}
_CLOSE_SECONDS = 30.0
_LOG_MOST_BYTES = 1 << 20

_active: Session | None = None
_forks_followed = False


class Scope:
    """The number of the trace that a context belongs to; without one the process's.

    Used as the context variable that it wraps. The core looks that one up when a thread
    goes to another context, so it must be told what changes within one.
    """

    def set(self, number: int) -> contextvars.Token[int]:
        token = _SCOPE.set(number)
        _tell_scope()
        return token

    def reset(self, token: contextvars.Token[int]) -> None:
        _SCOPE.reset(token)
        _tell_scope()


SCOPE = Scope()


def _tell_scope() -> None:
    session = _active
    if session is not None:
        session._native.scope_changed()


@dataclass(frozen=True)
class Summary:
    """What a session recorded, for the closing line."""

    trace_id: str
    path: Path
    calls: int
    records: int
    bytes: int
    skipped: int
    masked: int
    truncated: int
    lost: int
    waited_ns: int
    errors: int
    duration_ns: int
    problems: tuple[str, ...]


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
        parent: str | None = None,
        parent_process: str | None = None,
        always: bool = False,
        replace_profiler: bool = False,
    ) -> None:
        """Prepare; nothing is opened or attached before ``start``.

        ``name`` and ``kind`` are of the trace, ``argv`` is of the program. With
        ``always`` the trace is stored although nothing may be kept in it.
        """
        self.config = config
        self.project = project
        self.filter = filter
        self.name = name
        self.kind = kind
        self.argv = tuple(argv)
        self.trace_id = trace_id()
        self.process_id = ulid()
        self.attributes: dict[str, Any] = {}
        self._problems = list(problems)
        self._parent = parent
        self._parent_process = parent_process
        self._always = always
        self._replace_profiler = replace_profiler
        self._core: Any = None
        self._native: Any = None
        self._number = 0
        self._boundaries: dict[int, str] = {}
        self._started_ns = 0
        self._thread_hook: Any = None
        self._summary: Summary | None = None

    # ---- life ----

    def start(self) -> None:
        """Open the store and attach; raises KoloError where that cannot be done."""
        global _active
        if _active is not None:
            raise TracerError(
                "this process is being recorded already",
                "Inside a session use kolo_c.trace(), which joins it.",
            )
        self._core = load_core(self.config.core)
        try:
            create_store(self.project.store)
            apply_retention(
                self.project.store,
                max_bytes=self.config.max_bytes,
                keep_days=self.config.keep_days,
            )
            self._native = self._open()
        except OSError as error:
            raise TracerError(
                f"{self.project.store}: the store cannot be written: {error}",
                "Make it writable, or set KOLO_C_PATH to a directory that is.",
            ) from error
        except RuntimeError as error:
            raise TracerError(str(error)) from error
        try:
            self._started_ns = time.monotonic_ns()
            self._number = self._native.begin_trace(
                self.trace_id,
                self.kind,
                self.name,
                self._parent,
                json.dumps(self.attributes),
                of_process=True,
                always=self._always,
            )
            self._attach()
            _active = self
            _follow_forks()
        except BaseException:
            self._give_up()
            raise

    def _attach(self) -> None:
        try:
            self._core.register_profiler(self._native, replace=self._replace_profiler)
        except RuntimeError as error:
            raise TracerError(
                str(error),
                "Switch it off, or ask to replace it; while it is there nothing "
                "can be recorded.",
            ) from error
        if self.config.threads:
            # threading has no public way to ask for the function on 3.10 and 3.11 only.
            self._previous_hook = getattr(threading, "_profile_hook", None)
            self._thread_hook = self._native.attach_thread
            threading.setprofile(self._thread_hook)

    def _give_up(self) -> None:
        """Put back what a start that failed has done so far."""
        global _active
        if _active is self:
            _active = None
        native, self._native = self._native, None
        self._put_back_threading()
        self._core.unregister_profiler(native)
        try:
            native.close("refused", _CLOSE_SECONDS)
        except OSError:
            pass  # what made the start fail is being raised

    def _put_back_threading(self) -> None:
        hook, self._thread_hook = self._thread_hook, None
        if hook is not None and getattr(threading, "_profile_hook", None) is hook:
            threading.setprofile(self._previous_hook)

    def stop(
        self, cause: str = "exit", exception: BaseException | None = None
    ) -> Summary:
        """Detach, save all, close. Never raises; what went wrong is a problem.

        Stopping once more changes nothing, and gives the same summary.
        """
        global _active
        if self._summary is not None:
            return self._summary
        if _active is self:
            _active = None
        counters: dict[str, Any] = {}
        if self._native is not None and not self._native.stats()["dead"]:
            counters = self._finish(cause, exception)
        self._write_log()
        self._summary = Summary(
            trace_id=self.trace_id,
            path=self.project.store,
            calls=int(counters.get("calls", 0)),
            records=int(counters.get("records", 0)),
            bytes=int(counters.get("bytes", 0)),
            skipped=int(counters.get("skipped", 0)),
            masked=int(counters.get("masked", 0)),
            truncated=int(counters.get("truncated", 0)),
            lost=int(counters.get("lost", 0)),
            waited_ns=int(counters.get("waited_ns", 0)),
            errors=int(counters.get("errors", 0)),
            duration_ns=time.monotonic_ns() - self._started_ns,
            problems=tuple(self.problems()),
        )
        return self._summary

    def _finish(self, cause: str, exception: BaseException | None) -> dict[str, Any]:
        native = self._native
        if exception is not None:
            native.resolve(exception)
        self._put_back_threading()
        self._core.unregister_profiler(native)
        counters: dict[str, Any] = {}
        try:
            _, text = native.end_trace(
                self._number, cause, self.name, json.dumps(self._final_attributes())
            )
            counters = json.loads(text)
            native.close(cause, _CLOSE_SECONDS)
        except OSError as error:
            self._problems.append(f"not everything could be saved: {error}")
        return counters

    def _final_attributes(self) -> dict[str, Any]:
        problems = self.problems()
        return {**self.attributes, **({"problems": problems} if problems else {})}

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

    def begin_boundary(self, name: str, kind: str) -> tuple[int, str]:
        """Start a trace of its own, child of the process's: its number and id.

        The caller sets ``SCOPE`` to the number in the context that belongs to it.
        """
        identifier = trace_id()
        number = self._native.begin_trace(identifier, kind, name, self.trace_id, "{}")
        return int(number), identifier

    def end_boundary(self, number: int, cause: str, name: str) -> None:
        """End a trace that ``begin_boundary`` started."""
        self._native.end_trace(number, cause, name, "{}")

    def flush(self, timeout: float = 2.0) -> bool:
        """Save everything recorded so far; False when ``timeout`` seconds passed."""
        return bool(self._native.flush(timeout))

    def problems(self) -> list[str]:
        """What a person should know: settings, filters, mapping, profilers, errors."""
        found = [*self._problems, *self.project.notes, *self.filter.problems]
        stats = self._native.stats() if self._native is not None else {}
        if stats.get("mapping_errno"):
            reason = os.strerror(stats["mapping_errno"])
            found.append(f"a killed process would lose its last records: {reason}")
        if stats.get("error"):
            found.append(stats["error"])
        if stats.get("writer_error"):
            found.append(f"the writer: {stats['writer_error']}")
        if stats.get("blind"):
            found.append("another profiler took the tracer's place for a while")
        if sys.version_info >= (3, 12) and stats.get("tool_id") == -1:
            found.append("no sys.monitoring tool id is free: exceptions have no type")
        return list(dict.fromkeys(found))

    # ---- the core's session ----

    def _open(self) -> Any:
        config = self.config
        words, exceptions = self._mask_lists()
        return self._core.Session(
            directory=str(self.project.store / "segments"),
            process_id=self.process_id,
            schema=_schema(),
            schema_version=SCHEMA_VERSION,
            info=json.dumps(self._process_info()),
            compress=config.compress,
            segment_bytes=config.segment_max_bytes,
            free_disk_bytes=config.free_disk_min_bytes,
            max_trace_bytes=config.max_trace_bytes,
            wait_max_ns=int(config.wait_max * 1e9),
            drop=config.overflow == "drop",
            decide=self._decide,
            decide_file=self._decide_file,
            rules=self._default_rules(),
            mask_words=words,
            mask_exceptions=exceptions,
            scope_variable=_SCOPE,
            open_boundary=self._open_boundary,
            close_boundary=self._close_boundary,
        )

    def _default_rules(self) -> dict[str, Any]:
        config = self.config
        return {
            "locals": _LOCALS[config.locals],
            "user_repr": config.repr == "user",
            "self_fields": config.self == "fields",
            "depth": config.depth,
            "items": config.items,
            "text_bytes": config.text_bytes,
            "record_bytes": config.record_bytes,
        }

    def _decide(
        self, code: CodeType, path: str, module: str | None, qualname: str
    ) -> bool | dict[str, Any]:
        """Asked by the core, once per code object whose file alone does not decide."""
        decision = self.filter.decide(path, module, qualname)
        if not decision.keep or decision.options is None:
            return decision.keep
        return _rules_of(decision)

    def _decide_file(self, path: str) -> bool | None:
        """Asked by the core once per file; None sends it to ``_decide``."""
        decision = self.filter.decide_file(path)
        if decision is None or decision.options is not None:
            return None
        return decision.keep

    def _masked_options(self) -> list[str]:
        words, exceptions = self._mask_lists()
        return masking.mask_options(self.argv, words, exceptions)

    def _mask_lists(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        config = self.config
        return (
            (*masking.DEFAULT_WORDS, *config.mask_words),
            (*masking.DEFAULT_EXCEPTIONS, *config.mask_exceptions),
        )

    def _open_boundary(self, code: CodeType) -> int:
        """Asked by the core for a call that a rule made a boundary."""
        name = getattr(code, "co_qualname", code.co_name)
        number, _ = self.begin_boundary(name, "boundary")
        self._boundaries[number] = name
        return number

    def _close_boundary(self, number: int) -> None:
        self.end_boundary(number, "exit", self._boundaries.pop(number, ""))

    def _process_info(self) -> dict[str, Any]:
        implementation = sys.implementation.name
        return {
            "host": platform.node(),
            "argv": [self._core.mask_text(text) for text in self._masked_options()],
            "cwd": str(self.project.cwd),
            "python": platform.python_version(),
            "implementation": implementation,
            "build": " ".join(sys.version.split()),
            "platform": sys.platform,
            "executable": sys.executable,
            "kolo_c": __version__,
            "core": "c",
            "hook": "setprofile",
            "git_commit": git_commit(self.project.root),
            "parent_process": self._parent_process,
            "config": {**_plain(asdict(self.config)), "root": str(self.project.root)},
            "problems": list(self._problems),
        }

    def _write_log(self) -> None:
        """What went wrong inside goes to one file beside the segments, bounded."""
        problems = self.problems()
        if not problems:
            return
        path = self.project.store / "kolo_c.log"
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        lines = [f"{stamp} {self.process_id} {problem}\n" for problem in problems]
        try:
            if path.exists() and path.stat().st_size > _LOG_MOST_BYTES:
                path.replace(path.with_suffix(".log.1"))
            with open(path, "a", encoding="utf-8") as log:
                log.writelines(lines)
        except OSError:
            pass  # the problems are in the trace as well

    # ---- fork ----

    def _continue_in_child(self) -> None:
        """Start a trace of the child's own, linked to this one."""
        global _active
        _active = None
        child = Session(
            self.config,
            replace(self.project, notes=()),
            self.filter,
            name=f"{self.name} (forked)",
            argv=self.argv,
            problems=self._problems,
            parent=self.trace_id,
            parent_process=self.process_id,
            replace_profiler=self._replace_profiler,
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
        self.trace_id = child.trace_id
        self.process_id = child.process_id
        self.name = child.name
        self._number = child._number
        self._started_ns = child._started_ns
        self._thread_hook = child._thread_hook
        global _active
        if _active is child:
            _active = self


def active_session() -> Session | None:
    """The session of this process, if one is running."""
    return _active


def _follow_forks() -> None:
    """Register once: such handlers cannot be taken back."""
    global _forks_followed
    if not _forks_followed:
        _forks_followed = True
        os.register_at_fork(after_in_child=_after_fork_in_child)


def _after_fork_in_child() -> None:
    if _active is not None:
        _active._continue_in_child()


def _rules_of(decision: Decision) -> dict[str, Any]:
    options = decision.options
    assert options is not None
    rules: dict[str, Any] = {
        "locals": _LOCALS[options.locals],
        "values": options.values,
        "user_repr": options.repr == "user",
        "self_fields": options.self == "fields",
        "shallow": options.shallow,
        "boundary": options.boundary,
        "mask": options.mask,
    }
    if options.max_depth is not None:
        rules["max_depth"] = options.max_depth
    return rules


def _schema() -> str:
    path = Path(__file__).with_name("store") / "schema.sql"
    return path.read_text(encoding="utf-8")


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """The settings as JSON can hold them."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
    }


def git_commit(root: Path) -> str | None:
    """The commit checked out at ``root`` or above, read from ``.git``; or None."""
    for folder in (root, *root.parents):
        git = folder / ".git"
        if git.exists():
            try:
                return _commit_of(git)
            except (OSError, ValueError):
                return None
    return None


def _commit_of(git: Path) -> str | None:
    if git.is_file():  # a worktree or a submodule
        git = git.parent / git.read_text(encoding="utf-8").split(":", 1)[1].strip()
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref: "):
        return head
    reference = head[5:]
    common = git / "commondir"
    if common.exists():
        git = git / common.read_text(encoding="utf-8").strip()
    if (git / reference).exists():
        return (git / reference).read_text(encoding="utf-8").strip()
    for line in (git / "packed-refs").read_text(encoding="utf-8").splitlines():
        if line.endswith(f" {reference}"):
            return line.split(" ", 1)[0]
    return None
