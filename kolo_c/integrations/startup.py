"""``KOLO_C=1``: record this process from its start.

``kolo_c.pth`` (``kolo_c.start`` from Python 3.15 on) calls ``start`` while the
interpreter starts, before anything of the program is there: no ``__main__``, and of
``sys.argv`` what the command says. The program is the interpreter's to run: we begin
before it, and end with the first exit handler that was registered, so the last called.

Not recorded are kolo_c's own commands, which record themselves if they are to, and the
installers pip, ensurepip and venv. Nothing is written before a call is kept.

Threads: the main one, before there are others. Owns: the session, until the end.
Fails: never; the program runs as it would without us.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from os import getpid  # a program may replace it

from kolo_c.quick_import import SESSION, bring_in

# What a start needs to know what it is about to record, and what it records with.
FIRST = (
    "kolo_c.switch",
    "kolo_c.errors",
    "kolo_c.extension",
    "kolo_c.frozen",
    "kolo_c.core",
    "kolo_c.integrations.command_line",
)
SECOND = (*SESSION, "kolo_c.follow", "kolo_c.integrations.exits")

bring_in(FIRST)

from kolo_c import switch  # noqa: E402 - see above
from kolo_c.core import choose_core  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.config import Loaded
    from kolo_c.filter import Filter
    from kolo_c.follow import Parent
    from kolo_c.integrations.command_line import Program
    from kolo_c.project import Project
    from kolo_c.session import Session
    from kolo_c.summary import Summary

_started = False
_before: set[str] = set()
# What a start without settings imports: nothing that a program may have of its own.
_IMPORTED = frozenset(sys.builtin_module_names) | {"__future__", "_contextvars"}


def start() -> None:
    """Begin to record, if the environment asks for it and the program is one to record.

    Called once for each folder of packages that kolo_c is installed in.
    """
    global _started, _before
    if _started or not switch.is_on():
        return
    _started = True
    _before = {*sys.modules}
    collecting = gc.isenabled()
    gc.disable()  # importing makes many objects, all of which stay
    try:
        _start()
    except Exception as error:  # whatever it is, it is none of the program's
        _say_not_recorded(error)
    finally:
        if collecting:
            _make_old()
            gc.enable()


def _make_old() -> None:
    """Let what is there now be looked through with the old objects, not at once."""
    if hasattr(gc, "freeze"):  # PyPy has none
        gc.freeze()
        gc.unfreeze()


def _start() -> None:
    # The core first: the session's start waits until its clock has run for 1 ms.
    choose_core(os.environ.get("KOLO_C_CORE") or "auto")
    from kolo_c.integrations.command_line import find_program  # noqa: PLC0415

    program = find_program()
    if program.is_tool:
        return
    bring_in(SECOND)
    from kolo_c.follow import joined, leave_children, parent_of  # noqa: PLC0415
    from kolo_c.project import find_project  # noqa: PLC0415 - not for each process

    parent = parent_of(os.environ)
    project = find_project(program.start)
    if parent is not None:
        project = joined(project, parent)
    from kolo_c.config import load  # noqa: PLC0415

    loaded = load(project.root)
    problems = [f"{problem}; the default holds" for problem in loaded.problems]
    if switch.problem():
        problems.append(switch.problem())
    chosen = _filter(loaded, project, problems)
    recorder = _Recorder(program, project, loaded, chosen, parent, problems)
    if not loaded.config.follow:
        leave_children()
    recorder.begin()


def _filter(loaded: Loaded, project: Project, problems: list[str]) -> Filter:
    config = loaded.config
    if config.include_frames or config.ignore_frames or config.rules:
        from kolo_c.lenient import lenient_filter  # noqa: PLC0415 - few have any

        return lenient_filter(loaded, project, problems)
    from kolo_c.filter import Filter  # noqa: PLC0415 - not for each process

    return Filter(config, project, loaded.origins)


def _imported() -> bool:
    """Whether we have imported what the program may have a module of its own for."""
    new = sys.modules.keys() - _before - _IMPORTED
    return any(not name.startswith("kolo_c") for name in new)


class _Recorder:
    """The session of this process, from before the program to after it."""

    def __init__(
        self,
        program: Program,
        project: Project,
        loaded: Loaded,
        chosen: Filter,
        parent: Parent | None,
        problems: list[str],
    ) -> None:
        from kolo_c.session import Session  # noqa: PLC0415 - not for each process

        self._program = program
        self._project = project
        self._filter = chosen
        self._config = chosen.config
        self._pid = getpid()
        self._first_pid = self._pid if parent is None else parent.first_pid
        self._session: Session = Session(
            chosen.config,
            project,
            chosen,
            name=program.name,
            argv=program.argv,
            problems=problems,
            line=() if parent is None else parent.line,
            later=True,
            first_pid=self._first_pid if loaded.config.follow else 0,
            main_file=program.main_file,
            main_source=program.source,
        )

    def begin(self) -> None:
        from kolo_c.project import require_writable  # noqa: PLC0415 - as above

        require_writable(self._project.store)
        if os.path.isdir(self._project.store):
            from kolo_c.store.bounds import (  # noqa: PLC0415
                MOST_AT_START,
                keep_within_bounds,
            )

            self._session.bounds_wait = keep_within_bounds(
                self._project.store,
                self._config.max_bytes,
                self._config.keep_days,
                most=MOST_AT_START,
            )
        from kolo_c.integrations.exits import ProgramExit  # noqa: PLC0415 - as above

        self._session.start()
        self._session.plugins.add(ProgramExit(self._session))
        atexit.register(self._finish)
        folder = self._program.folder
        if folder is not None and _imported():
            from kolo_c.shadow import forget_shadowed  # noqa: PLC0415 - seldom

            forget_shadowed(folder or os.getcwd())

    def _finish(self) -> None:
        """The last exit handler. What fails here must not reach the program's end."""
        error = None
        # A handler of a signal may raise anything meanwhile; Ctrl-C does.
        try:
            error = _unhandled()
            summary = self._session.stop("exit", error)
            if self._speaks():
                self._report(summary)
                if type(error) is KeyboardInterrupt:
                    from kolo_c.shadow import end_by_signal  # noqa: PLC0415

                    end_by_signal()
        except BaseException:
            pass  # it is in the log, as far as it could be said

    def _speaks(self) -> bool:
        """Whether there is somebody to tell: a person at a terminal, told once."""
        return (
            not self._config.quiet
            and getpid() == self._pid == self._first_pid
            and _is_terminal()
        )

    def _report(self, summary: Summary) -> None:
        from kolo_c.shadow import find_library_again  # noqa: PLC0415

        find_library_again()  # what follows takes more than a recorder does
        from kolo_c.cli import closing  # noqa: PLC0415 - after the program's end

        lines = closing.closing_lines(
            summary, self._program.name, self._project, self._filter
        )
        _write(lines[:1] if summary.calls else [" ".join(lines[:1])])


def _unhandled() -> BaseException | None:
    """The exception that ended the program, where the interpreter has shown one."""
    if sys.flags.interactive or hasattr(sys, "ps1"):
        return None  # it is that of some line, and the program went on
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    return error if isinstance(error, BaseException) else None


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except Exception:
        return False  # the program has put something else in its place


def _say_not_recorded(error: Exception) -> None:
    if "main interpreter" in str(error):
        return  # it is recorded; this is one of its subinterpreters
    from kolo_c.follow import PARENT_VARIABLE  # noqa: PLC0415 - rarely needed

    if PARENT_VARIABLE not in os.environ and _is_terminal():
        _write([f"nothing is recorded: {error}"])


def _write(lines: list[str]) -> None:
    try:
        for line in lines:
            sys.stderr.write(f"kolo-c: {line}\n")
        sys.stderr.flush()
    except Exception:
        pass  # the program closed it, or its reader went away
