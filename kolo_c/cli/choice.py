"""What of a trace was asked for: options that fit together, threads, functions, tasks.

Threads: one at a time. Owns: nothing. Fails: KoloError with the slug ``usage`` where
options contradict each other; TraceNotFound, with the nearest name, for what is not
there.
"""

from __future__ import annotations

from kolo_c.errors import KoloError, TraceNotFound, harmless
from kolo_c.store import records as r
from kolo_c.store.definitions import Code, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable

    from kolo_c.cli.labels import Labels
    from kolo_c.model.node import Node
    from kolo_c.model.sieve import Sieve
    from kolo_c.store.reader import Stream, Trace

_NAMES_LISTED = 8


class Options:
    """What to show, and how."""

    def __init__(
        self,
        depth: int | None = None,
        function: str | None = None,
        thread: str | None = None,
        max_lines: int | None = None,
        width: int | None = None,
        *,
        task: str | None = None,
        min_ns: int | None = None,
        errors: bool = False,
        around: int | None = None,
        tail: int | None = None,
        folds: bool = True,
        imports: bool = False,
        full: bool = False,
        kinds: list[str] | None = None,
        colour: str = "auto",
    ) -> None:
        self.depth = depth
        self.function = function
        self.thread = thread
        self.max_lines = max_lines
        """None: as many as fit the file; 0: all."""
        self.width = width
        self.task = task
        self.min_ns = min_ns
        self.errors = errors
        self.around = around
        self.tail = tail
        """How many of the last lines; 0: as many as fit."""
        self.folds = folds
        self.imports = imports
        self.full = full
        self.kinds = kinds
        """Of what plugins recorded, a line each; None: a tree."""
        self.colour = colour

    @property
    def searches(self) -> bool:
        """Whether parts of the trace are chosen by what they are."""
        return (
            self.function is not None
            or self.task is not None
            or self.min_ns is not None
            or self.errors
        )

    def check(self, *, node: bool = False) -> None:
        """Refuse what contradicts itself; ``node``: one node was asked for."""
        chosen = {
            "--function": self.function is not None,
            "--task": self.task is not None,
            "--min": self.min_ns is not None,
            "--errors": self.errors,
            "--depth": self.depth is not None,
            "--thread": self.thread is not None,
        }
        one: list[tuple[str, bool, tuple[str, ...]]] = [
            ("--around NODE", self.around is not None, tuple(chosen)[:-1]),
            ("--tail", self.tail is not None, tuple(chosen)[:-1]),
            ("TRACE/NODE", node, ("--function", "--task", "--min", "--errors",
                                  "--thread")),
            ("--kind", self.kinds is not None, ("--function", "--task", "--depth")),
        ]  # fmt: skip
        given = [name for name, is_given, _ in one if is_given]
        if len(given) > 1:
            raise _contradiction(given[0], given[1])
        for name, is_given, refused in one:
            for other in refused:
                if is_given and chosen[other]:
                    raise _contradiction(name, other)
        if self.full and not node:
            raise KoloError(
                "--full shows one call whole: which?",
                "Name it: kolo-c show TRACE/NODE --full",
                slug="usage",
            )


class Selection:
    """What ``--function``, ``--task``, ``--min`` and ``--errors`` let through."""

    def __init__(self, trace: Trace, options: Options, labels: Labels) -> None:
        self._trace = trace
        self._labels = labels
        self._options = options
        self._matches: dict[str, bool] = {}
        self._codes: re.Pattern[bytes] | None = None
        self._tasks: frozenset[int] = frozenset()
        if options.function is not None:
            from kolo_c.model import search  # noqa: PLC0415 - regular expressions

            codes = [
                number
                for number, code in trace.definitions.all(Code)
                if self._is_called_so(harmless(code.qualname))
            ]
            self._codes = search.calls(codes)
        if options.task is not None:
            self._tasks = frozenset(
                number
                for number, task in trace.definitions.all(Task)
                if options.task in (task.name, harmless(task.name))
            )
            if not self._tasks:
                raise self._no_task(options.task)

    @property
    def chooses_roots(self) -> bool:
        """Whether some calls become roots of their own."""
        return self._options.function is not None or self._options.task is not None

    @property
    def chooses_worth(self) -> bool:
        """Whether of what is below the roots some is left out."""
        return self._options.min_ns is not None or self._options.errors

    def wanted(self, node: Node) -> bool:
        """Whether ``node`` is a root."""
        if node.begin is None or node.continues is not None:
            return False
        if self._options.task is not None and node.task not in self._tasks:
            return False
        if self._options.function is None:
            return not isinstance(node.begin, r.MarkRecord)
        return self._is_called_so(self._labels.name(node))

    def worth(self, node: Node) -> bool:
        """Whether ``node`` itself is to be shown, of those below the roots."""
        least = self._options.min_ns
        if least is not None:
            taken = node.duration_ns
            if taken is None:
                taken = least if node.is_open and node.begin is not None else 0
            if taken < least:
                return False
        return node.left_by_exception or not self._options.errors

    def arguments(self, stream: Stream) -> dict[str, Callable[..., bool]]:
        """What a builder of ``stream`` is told, but for ``has_root``."""
        found: dict[str, Callable[..., bool]] = {}
        if self.chooses_roots:
            found["wanted"] = self.wanted
        if self.chooses_worth:
            found["worth"] = self.worth
            found["has_worth"] = self._worth_finder(stream)
        return found

    def root_finder(self, builder: Sieve) -> Callable[[int], bool] | None:
        """Whether a block may have a root; None: any may."""
        from kolo_c.model import search  # noqa: PLC0415 - regular expressions

        stream = builder.stream
        by_name: Callable[[int], bool] | None = None
        if self._codes is not None:
            by_name = search.finder(stream, self._codes)
        if self._options.task is None:
            return by_name
        builder.follows_tasks = True
        switches = search.finder(stream, search.task_switches())

        def found(index: int) -> bool:
            if switches(index):
                return True
            runs = builder.task in self._tasks
            return runs and (by_name is None or by_name(index))

        return found

    def _worth_finder(self, stream: Stream) -> Callable[[int], bool]:
        from kolo_c.model import search  # noqa: PLC0415 - regular expressions

        finders = []
        if self._options.min_ns is not None:
            finders.append(search.lasting(stream, self._options.min_ns))
        if self._options.errors:
            finders.append(search.finder(stream, search.raises()))
        return lambda index: all(found(index) for found in finders)

    def nothing(self) -> KoloError | None:
        """What to say of a function of which there is no call, if it is misspelt."""
        pattern = self._options.function
        if pattern is None or any(self._matches.values()):
            return None
        names = {
            harmless(code.qualname) for _, code in self._trace.definitions.all(Code)
        }
        names -= {name for name in names if name.startswith("<")}
        shorts = {name.rpartition(".")[2] for name in names}
        return _not_found(
            f"{self._trace.id} has no function '{harmless(pattern)}'",
            pattern,
            names | shorts,
            "kolo-c show --function",
            "Functions",
        )

    def _is_called_so(self, name: str) -> bool:
        found = self._matches.get(name)
        if found is None:
            found = self._matches[name] = _is_named(name, self._options.function or "")
        return found

    def _no_task(self, wanted: str) -> KoloError:
        names = {task.name for _, task in self._trace.definitions.all(Task)}
        return _not_found(
            f"{self._trace.id} has no task named '{harmless(wanted)}'",
            wanted,
            names,
            "kolo-c show --task",
            "Tasks",
        )


def choose_streams(trace: Trace, wanted: str | None) -> list[Stream]:
    """The threads that were asked for, by number or name; all for None."""
    if wanted is None:
        return trace.streams
    if wanted.isdecimal() and len(wanted) < 10:
        return [trace.stream(int(wanted))]
    found = [stream for stream in trace.streams if stream.name == wanted]
    if found:
        return found
    raise _not_found(
        f"{trace.id} has no thread named '{harmless(wanted)}'",
        wanted,
        [stream.name for stream in trace.streams],
        "kolo-c show --thread",
        "It has",
    )


def _is_named(name: str, pattern: str) -> bool:
    if pattern in (name, name.rpartition(".")[2]):
        return True
    if not any(char in pattern for char in "*?["):
        return False
    import fnmatch  # noqa: PLC0415 - only for patterns

    return fnmatch.fnmatchcase(name, pattern)


def _not_found(
    message: str, wanted: str, names: Iterable[str], command: str, title: str
) -> TraceNotFound:
    from kolo_c.settings import nearest  # noqa: PLC0415 - only for a mistake

    sorted_names = sorted(names)
    near = nearest(wanted, sorted_names)
    if near:
        return TraceNotFound(message, f"Did you mean {command} {_quoted(near)}?")
    if not sorted_names:
        return TraceNotFound(message, "It has none at all.")
    listed = ", ".join(sorted_names[:_NAMES_LISTED])
    more = ", …" if len(sorted_names) > _NAMES_LISTED else ""
    return TraceNotFound(message, f"{title}: {listed}{more}")


def _quoted(name: str) -> str:
    import shlex  # noqa: PLC0415 - only for a mistake

    return shlex.quote(name)


def _contradiction(one: str, other: str) -> KoloError:
    return KoloError(
        f"{one} and {other} cannot be combined",
        f"{one} shows what is there, whatever it is; leave one of them out.",
        slug="usage",
    )
