"""``kolo-c run``: record a program, and say afterwards what was recorded.

Nothing third-party is imported here: this process is the program's.

Threads: the main one. Owns: the session, from the program's first line to the last exit
handler: ours was registered before the program's own and so is called after them.
Fails: RunError, ConfigError, TracerError, before the program begins.
"""

from __future__ import annotations

import atexit
import os
import sys
from os import getpid  # a program may replace it

from kolo_c import switch
from kolo_c.cli.options import add_config_options, load_config
from kolo_c.core import choose_core
from kolo_c.filter import Filter
from kolo_c.follow import leave_children, parent_of, tell_settings
from kolo_c.runner import run
from kolo_c.session import Session
from kolo_c.shadow import end_by_signal, find_library_again
from kolo_c.store.bounds import MOST_AT_START, keep_within_bounds
from kolo_c.store.locate import SEGMENTS_NAME
from kolo_c.target import parse_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from types import CodeType
    from typing import Any

    from kolo_c.config import Config
    from kolo_c.project import Project
    from kolo_c.summary import Summary
    from kolo_c.target import Target

# Options with a value of their own, for finding where the program's words begin.
_VALUED = frozenset(
    "--name --hook --core --locals --split --include --ignore --set".split()
)


class Run:
    """Run a Python program and record what it does.

    usage: kolo-c run [options] script.py [arguments]
           kolo-c run [options] -m module [arguments]
           kolo-c run [options] -c code [arguments]
           kolo-c run [options] -           (the program comes from stdin)
           kolo-c run [options] COMMAND     (a Python program on PATH, such as pytest)

    Options come before the program; what follows it is the program's. The program
    behaves as under python, which may stand before it. After it has ended, one line on
    stderr says what was recorded and how to see it.
    """

    name = "run"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.usage = "kolo-c run [options] script.py | -m module | -c code | - [args]"
        parser.add_argument(
            "--quiet", "-q", action="store_true", help="No line after the program."
        )
        parser.add_argument(
            "--show", action="store_true", help="Show the tree of calls at the end."
        )
        parser.add_argument("--name", metavar="TEXT", help="The trace's name.")
        parser.add_argument(
            "--no-follow",
            action="store_true",
            help="Leave the Python processes alone that the program starts.",
        )
        add_config_options(parser)

    def split(self, words: Sequence[str]) -> tuple[list[str], list[str]]:
        at = 0
        while at < len(words):
            word = words[at]
            if word == "--":
                return list(words[:at]), list(words[at + 1 :])
            # -m, -c and - name the program, as does anything that is no option.
            if not word.startswith("-") or word[:2] in ("-m", "-c") or word == "-":
                break
            at += 2 if word in _VALUED else 1
        return list(words[:at]), list(words[at:])

    def run(self, args: argparse.Namespace) -> int:
        # The core first: the session's start waits until its clock has run for 1 ms.
        choose_core(args.config_core or os.environ.get("KOLO_C_CORE") or "auto")
        target = parse_target(args.program)
        project, loaded = load_config(args, target.start)
        config = loaded.require()
        if switch.is_off():
            return run(target, _Unrecorded(config.quiet))
        chosen = Filter(config, project, loaded.origins)
        _bound_early(project, config)
        parent = parent_of(os.environ)
        first_pid = getpid() if parent is None else parent.first_pid
        session = Session(
            config,
            project,
            chosen,
            name=args.name or target.name,
            argv=target.argv,
            problems=project.notes,
            line=() if parent is None else parent.line,
            always=True,
            first_pid=first_pid if config.follow else 0,
        )
        if config.follow:
            tell_settings(loaded)
        else:
            leave_children()
        recorder = _Recorder(session, target, config, project, chosen, args.show)
        return run(target, recorder)


def _bound_early(project: Project, config: Config) -> None:
    """Apply the bounds of a store that is there.

    The session would do it, but only now are imports sure to find the library's modules
    and not those of the program's folder.
    """
    try:
        if os.path.isdir(os.path.join(project.store, SEGMENTS_NAME)):
            keep_within_bounds(
                project.store, config.max_bytes, config.keep_days, most=MOST_AT_START
            )
    except OSError:
        pass  # the session meets it as well, and says so


class _Unrecorded:
    """Lets the program run as it is, and says why nothing is recorded."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet

    def begin(self, code: CodeType | None, source: str | None) -> None:
        if not self._quiet:
            atexit.register(_say, [f"nothing was recorded: {switch.OFF_HINT}"])

    def did_not_compile(self) -> None:
        pass

    def exited(self, error: SystemExit) -> None:
        pass

    def failed(self, error: BaseException) -> None:
        pass


class _Recorder:
    """Starts the session with the program and ends it after its last exit handler."""

    def __init__(
        self,
        session: Session,
        target: Target,
        config: Config,
        project: Project,
        chosen: Filter,
        show: bool,
    ) -> None:
        self._session = session
        self._target = target
        self._config = config
        self._project = project
        self._filter = chosen
        self._show = show
        self._error: BaseException | None = None
        self._failure: dict[str, Any] | None = None
        self._hints: list[str] = []
        self._pid = getpid()

    def begin(self, code: CodeType | None, source: str | None) -> None:
        self._session.start()
        atexit.register(self._finish)
        if code is not None and code.co_filename.startswith("<"):
            self._session.keep_code(code, source)

    def did_not_compile(self) -> None:
        if not self._config.quiet:
            _say(
                [
                    f"nothing was recorded: {self._target.name} is not valid Python. "
                    "Correct what is said above and run it again."
                ]
            )

    def exited(self, error: SystemExit) -> None:
        self._failure = self._session.ended_by(error)
        # Only the library's own is asked: another may be the program's to answer.
        if type(error) is SystemExit and type(error.code) is str:
            self._hints = _why_missing(error)

    def failed(self, error: BaseException) -> None:
        self._error = error
        # Now, as what exit handlers call has nothing to do with it any more.
        self._failure = self._session.ended_by(error)
        if type(error) is ModuleNotFoundError:
            self._hints = _why_missing(error)

    def _finish(self) -> None:
        """The last exit handler. What fails here must not reach the program's end."""
        error, self._error = self._error, None
        # A handler of a signal may raise anything meanwhile; Ctrl-C does.
        try:
            summary = self._session.stop("exit", error)
            problem = ""
        except BaseException as failure:
            problem = f"{type(failure).__name__} {failure}".rstrip()
        # A forked child that ends in the usual way comes by here as well.
        if getpid() != self._pid:
            return
        try:
            if problem:
                _say([f"the trace could not be closed: {problem}"])
            else:
                self._report(summary)
        except BaseException:
            pass  # no files left to open, …
        if type(error) is KeyboardInterrupt:  # not one derived from it
            end_by_signal()

    def _report(self, summary: Summary) -> None:
        try:
            sys.stdout.flush()
        except Exception:
            pass  # the interpreter says so in a moment
        if self._show or not self._config.quiet:
            find_library_again()  # it takes more than a recorder does
        if not self._config.quiet:
            self._close(summary)
        if self._show and summary.calls:
            _show_tree(summary, self._project)

    def _close(self, summary: Summary) -> None:
        # After the program has ended, and not with -q.
        from kolo_c.cli import closing  # noqa: PLC0415

        lines = closing.closing_lines(
            summary, self._target.name, self._project, self._filter
        )
        exited = self._failure is not None and "exit_code" in self._failure
        if self._failure is not None and exited:
            lines.append(closing.exit_line(self._failure, self._project.root))
        story, more = closing.read_back(
            summary,
            self._session.process_id,
            self._project,
            failed=self._failure is not None and not exited,
        )
        if story:
            _say(story[:1])
            _write(story[1:])
        _say([*lines, *more, *self._hints])


def _why_missing(error: BaseException) -> list[str]:
    # It failed already; -q says nothing of it, and so nothing of this.
    from kolo_c.tool_environment import why_module_is_missing  # noqa: PLC0415

    return why_module_is_missing(error)


def _show_tree(summary: Summary, project: Project) -> None:
    # The program has ended: what show imports disturbs nobody any more.
    from kolo_c.cli.main import main  # noqa: PLC0415

    os.environ["KOLO_C_PATH"] = str(project.store)
    main(["show", summary.trace_id])


def _say(lines: Sequence[str]) -> None:
    _write([f"kolo-c: {line}" for line in lines])


def _write(lines: Sequence[str]) -> None:
    stream = sys.stderr if sys.stderr is not None else sys.__stderr__
    try:
        for line in lines:
            print(line, file=stream)
        if stream is not None:
            stream.flush()
    except Exception:
        pass  # the program closed it, or its reader went away


COMMAND = Run()
