"""The story of a failure as lines for a person, for ``why`` and the end of ``run``.

Threads: one at a time. Owns: nothing. Fails: StoreError from the reader.
"""

from __future__ import annotations

import time

from kolo_c.cli.labels import Labels
from kolo_c.cli.screen import cut
from kolo_c.cli.units import duration, offered, short_id
from kolo_c.errors import harmless
from kolo_c.model import story as s
from kolo_c.model.ends import find_begin
from kolo_c.model.exceptions import flight
from kolo_c.plugins.shown import field_text
from kolo_c.store import records as r
from kolo_c.store.text import value_text
from kolo_c.store.trace_info import (
    CUT_CAUSE,
    DOWN_CAUSE,
    EXEC_CAUSE,
    MEMORY_CAUSE,
    WANTED_CAUSES,
)
from kolo_c.store.values import Class, Function, Module, Raised, Unbound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.cli.screen import Line
    from kolo_c.model.node import Node
    from kolo_c.model.stacks import Stack
    from kolo_c.model.story import Path, Story

_DIM, _NAME, _ERROR, _HEAD, _WARN = "dim", "cyan", "red", "bold", "yellow"
_OUTER_FRAMES = 3
_VALUES = 12
_WIDEST_PLACE = 36
_EXCEPTION_WIDTH = 120
_MESSAGE_LINES = 12
_WIDEST_LINE = 400
"""Also where there is no terminal: values are bounded, names of the program not."""
_RELATIONS = {
    "cause": "because of ",
    "context": "raised while handling ",
    "member": "one of the group: ",
}


class StoryText:
    """Writes one story; the numbers say how much of it."""

    def __init__(
        self,
        story: Story,
        *,
        frames: int = 12,
        calls: int = 4,
        swallowed: int = 3,
        stacks: int = 20,
        value_width: int = 40,
    ) -> None:
        self.story = story
        self.trace = story.trace
        self.labels = Labels(story.trace, value_width)
        self._frames = max(frames, _OUTER_FRAMES + 2)
        self._calls = calls
        self._swallowed = swallowed
        self._stacks = stacks

    def lines(self) -> list[Line]:
        """All of it, the most important first."""
        lines = [
            self.headline(),
            *self._message(),
            *self._paths(),
            *self._stack_lines(),
            *self.last_calls(),
            *self._handled(),
            *self._limits(),
        ]
        return [cut(line, _WIDEST_LINE, "…") for line in lines]

    def last_calls(self) -> list[Line]:
        """The calls before the failure alone."""
        return self._section("last calls before it", self.story.before[-self._calls :])

    # ---- what happened ----

    def headline(self) -> Line:
        """What became of the program."""
        story = self.story
        name = harmless(self.trace.info.row.name) or "the program"
        about = story.boundary is not None
        if story.how == s.FAILED or (story.how == s.RAISED and about):
            return self._failed(name)
        if story.how == s.RAISED:
            text = self._exception(story.paths, 0)
            return [(f"✗ {text}", _ERROR), (f" ended {name}", _HEAD)]
        if story.how == s.STOPPED:
            return [(f"{name} was stopped by Ctrl-C (KeyboardInterrupt)", _HEAD)]
        if story.how == s.EXITED:
            return [(f"{name} ended with exit code {story.exit_code}", _HEAD)]
        if story.how == s.KILLED:
            return self._killed(f"{name} (process {self.trace.process.pid})")
        if story.how == s.RUNNING:
            silent = max(time.time_ns() - self.trace.utc_ns(story.last_ns), 0)
            return [
                (f"{name} is running (process {self.trace.process.pid})", _HEAD),
                (f"; nothing was recorded for the last {duration(silent)}", _WARN),
            ]
        if story.paths:
            return [(f"{name} ended, but not all of its threads did well", _HEAD)]
        return [(f"{name} ended well", _HEAD), (": no exception left it", "")]

    def _killed(self, name: str) -> Line:
        """What ended the process, as far as anyone knows."""
        cause = self.trace.info.row.cause or ""
        if cause == CUT_CAUSE:
            return [(f"{name} was running when it was exported", _HEAD)]
        if cause == EXEC_CAUSE:
            return [(f"{name} was replaced by another program", _HEAD), (" (exec)", "")]
        if cause in WANTED_CAUSES:
            return [(f"{name} was ended by {harmless(cause)}", _HEAD)]
        if cause.startswith(("SIG", "os._exit")):
            return [(f"✗ {name} was ended by {harmless(cause)}", _ERROR)]
        if cause == DOWN_CAUSE:
            return [(f"✗ {name} was running when the system went down", _ERROR)]
        why = "killed, crashed, out of memory, or os._exit"
        if cause == MEMORY_CAUSE:
            why = "it seems that the system killed it, to have memory"
        return [(f"✗ {name} ended without a word", _ERROR), (f": {why}", "")]

    def _failed(self, name: str) -> Line:
        """A request or test, with the exception if it is known."""
        fields = self.story.boundary.fields if self.story.boundary is not None else {}
        outcome = field_text(
            fields.get("status", fields.get("outcome")), self.trace.definitions, 40
        )
        name = name.removesuffix(f" → {outcome}").removesuffix(f" {outcome}")
        said = f" ({outcome})" if outcome else ""
        if not self.story.paths:
            return [(f"✗ {name} failed{said}", _ERROR), (self._unseen(), "")]
        text = self._exception(self.story.paths, 0)
        return [(f"✗ {text}", _ERROR), (f" failed {name}{said}", _HEAD)]

    def _unseen(self) -> str:
        """Of a failure without an exception that recorded code had."""
        exception = self._exception_of_boundary()
        if exception is None:
            return ": no exception left a recorded call"
        text = value_text(exception, self.trace.definitions, _EXCEPTION_WIDTH)
        return f": {text}, which left no recorded call"

    def _exception_of_boundary(self) -> object:
        """What left a request, test or task, or what it was made a response of."""
        boundary = self.story.boundary
        if boundary is None:
            return None
        return boundary.exception or boundary.fields.get("exception")

    def _message(self) -> list[Line]:
        """What a test said of its failure."""
        boundary = self.story.boundary
        if self.story.how not in (s.FAILED, s.RAISED) or boundary is None:
            return []
        lines = boundary.text("message").strip("\n").splitlines()
        if len(lines) == 1 and self.story.paths:
            said = lines[0].partition(": ")[2]
            if said and said in self._exception(self.story.paths, 0):
                return []
        shown: list[Line] = [
            [("  " + harmless(line.expandtabs()), "")]
            for line in lines[:_MESSAGE_LINES]
        ]
        if len(lines) > _MESSAGE_LINES:
            shown.append([(f"  … {len(lines) - _MESSAGE_LINES:,} more lines", _DIM)])
        return shown

    def _exception(self, paths: list[Path], index: int) -> str:
        if index < len(paths):
            value = paths[index].exception
            if index == 0 and value is None:
                seen = self._exception_of_boundary()
                if isinstance(seen, Raised) and (
                    seen.address == paths[0].link.get("address")
                ):
                    value = seen
            if isinstance(value, Raised):
                width = max(self.labels.value_width, _EXCEPTION_WIDTH)
                return value_text(value, self.trace.definitions, width)
            link = paths[index].link
        else:
            chain = self.story.failure["chain"]
            link = chain[0] if chain else {}
        return harmless(str(link.get("type", "an exception, type unknown")))

    # ---- exceptions ----

    def _paths(self) -> list[Line]:
        lines: list[Line] = []
        for index, path in enumerate(self.story.paths):
            if index == 0 and self.story.how == s.EXITED:
                lines.extend(self._exit_place(path))
                continue
            if index or self.story.how not in (s.RAISED, s.FAILED):
                lines.append(self._path_head(path, index))
            lines.extend(self._frame_lines(path))
        return lines

    def _path_head(self, path: Path, index: int) -> Line:
        text = self._exception(self.story.paths, index)
        if path.thread:
            return [
                (f"  ✗ {text}", _ERROR),
                (f" ended thread {harmless(path.thread)}", ""),
            ]
        relation = _RELATIONS.get(path.relation, "")
        if index == 1 and self.story.how == s.EXITED and path.relation == "context":
            relation = "it ended while it handled "
        return [("  " + relation, _HEAD), (text, _ERROR)]

    def _exit_place(self, path: Path) -> list[Line]:
        return [self._frame_line(node, 0) for node in path.frames[-1:]]

    def _frame_lines(self, path: Path) -> list[Line]:
        frames = self._calls_of(path)
        hidden = len(frames) - self._frames
        shown: list[Node | None] = list(frames)
        if hidden > 0:
            keep = self._frames - _OUTER_FRAMES
            shown = [*frames[:_OUTER_FRAMES], None, *frames[-keep:]]
        width = self._place_width([node for node in shown if node is not None])
        lines: list[Line] = []
        for node in shown:
            if node is None:
                lines.append([(f"       … {hidden:,} more frames", _DIM)])
            else:
                lines.append(self._frame_line(node, width))
        return [*lines, *self._raised_in(path.link, frames[-1] if frames else None)]

    def _calls_of(self, path: Path) -> list[Node]:
        """The frames without what stands for the request or test itself, and its
        phases: the headline has that."""
        frames = path.frames
        if self.story.boundary is None:
            return frames
        for node in frames:
            find_begin(self.trace, node)
        first = next((i for i, node in enumerate(frames) if node.code is not None), 0)
        return frames[first:]

    def _raised_in(self, link: dict[str, object], source: Node | None) -> list[Line]:
        """Where it came from, where that is code that is not recorded."""
        path, line = link.get("file"), link.get("line")
        if not isinstance(path, str) or not isinstance(line, int):
            return []
        place = f"{self.labels.path(path)}:{line}"
        if source is not None and place == self._place(source):
            return []
        function = harmless(str(link.get("function", "")))
        text = f"raised in {function}, {place}"
        if not self.story.is_kept(link):
            text += ", which is not recorded"
        return [[(f"        {text}", _DIM)]]

    def _handled(self) -> list[Line]:
        story = self.story
        found = story.swallowed[-self._swallowed :]
        if not found:
            return []
        title = "exceptions handled on the way"
        if not any(path.frames for path in story.paths):
            title = "the last exceptions that were handled"
        lines = self._section(title, found)
        more = len(story.swallowed) - len(found)
        if more > 0:
            lines[0].append((f" (of {more + len(found)} or more)", _DIM))
        return lines

    def _limits(self) -> list[Line]:
        if self.story.complete:
            return []
        text = "what raised it is farther back"
        if self.story.how in (s.KILLED, s.RUNNING):
            text = "tasks that have waited for long may be missing"
        short = short_id(self.trace.id)
        return [[(f"  {text}: {offered('why', self.trace)} {short} --all", _DIM)]]

    # ---- stacks ----

    def _stack_lines(self) -> list[Line]:
        lines: list[Line] = []
        running = self.story.how == s.RUNNING
        for stack in self.story.stacks[: self._stacks]:
            lines.append(self._stack_head(stack))
            frames = self._stack_frames(stack)
            places = (len(self._place(node, line)) for node, line in frames)
            width = min(max(places, default=0), _WIDEST_PLACE)
            for node, line in frames:
                lines.append(self._frame_line(node, width, line, is_open=running))
            if not stack.suspended:
                lines[-1].extend(self._last_seen(stack.frames[-1]))
            if stack.last:
                lines.extend(self._section("  last calls that ended", stack.last))
        more = len(self.story.stacks) - self._stacks
        if more > 0:
            lines.append([(f"  … {more:,} more threads and tasks", _DIM)])
        if not self.story.stacks and self.story.how in (s.KILLED, s.RUNNING):
            lines.append([("  no recorded call was open", "")])
        return lines

    def _stack_head(self, stack: Stack) -> Line:
        thread = f"thread {stack.stream.ordinal} {harmless(stack.stream.name)}"
        task = self.trace.definitions.task(stack.task)
        if not stack.suspended:
            text = thread if task is None else f"{thread}, task {harmless(task.name)}"
            return [(f"  {text}", _HEAD), (self._stood(" is in", " stood in"), "")]
        name = "a coroutine" if task is None else f"task {harmless(task.name)}"
        return [
            (f"  {name}", _HEAD),
            (self._stood(" waits in", " waited in"), ""),
            (f" ({thread})", _DIM),
        ]

    def _stood(self, now: str, then: str) -> str:
        return now if self.story.how == s.RUNNING else then

    def _stack_frames(self, stack: Stack) -> list[tuple[Node, int | None]]:
        """Each call with the line it stood at: where it made the next call."""
        frames = stack.frames
        for node in frames[:_OUTER_FRAMES] + frames[-self._frames :]:
            self._complete(node)
        found: list[tuple[Node, int | None]] = []
        for node, inner in zip(frames, [*frames[1:], None], strict=True):
            line = self.labels.raise_line(node)
            if line is None and inner is not None:
                line = self._site(node, inner)
            if line is None and stack.suspended and node.code is not None:
                line = self.trace.definitions.line(node.code, node.waits_at)
            found.append((node, line))
        hidden = len(found) - self._frames
        if hidden > 0:
            keep = self._frames - _OUTER_FRAMES
            found = [*found[:_OUTER_FRAMES], *found[-keep:]]
        return found

    def _last_seen(self, node: Node) -> Line:
        """The line from which the innermost call made its last one."""
        if not node.children or node.left_by_exception:
            return []
        line = self._site(node, node.children[-1])
        return [] if line is None else [(f"  after the call in line {line}", _DIM)]

    def _site(self, node: Node, inner: Node) -> int | None:
        self._complete(inner)
        if node.code is None or inner.site is None:
            return None
        return self.trace.definitions.line(node.code, inner.site)

    # ---- one line ----

    def _section(self, title: str, nodes: list[Node]) -> list[Line]:
        if not nodes:
            return []
        width = self._place_width(nodes)
        lines: list[Line] = [[(f"  {title}", _HEAD)]]
        for node in nodes:
            self._complete(node)
            lines.append([*self._margin(node, width), *self.labels.line(node)])
        return lines

    def _frame_line(
        self, node: Node, width: int, line: int | None = None, *, is_open: bool = False
    ) -> Line:
        self._complete(node)
        parts = self._margin(node, width, line)
        parts.append((self.labels.name(node), _NAME))
        parts.append((self._arguments(node), ""))
        values = self._locals(node)
        if values:
            parts.append((f"  {values}", _DIM))
        if is_open and node.start_ns is not None:
            open_ns = max(time.time_ns() - self.trace.utc_ns(node.start_ns), 0)
            parts.append((f"  open for {duration(open_ns)}", _WARN))
        return parts

    def _complete(self, node: Node) -> None:
        """Get what stands before the blocks that were read."""
        find_begin(self.trace, node)
        if node.site is None and isinstance(node.begin, (r.Call, r.Plugin, r.Log)):
            node.site = node.begin.site

    def _margin(self, node: Node, width: int, line: int | None = None) -> Line:
        number = f"{node.number}" if node.number else ""
        if node.thread != 1:
            number = f"{node.thread}.{number}"
        place = self._place(node, line)
        if len(place) > _WIDEST_PLACE:
            place = "…" + place[-(_WIDEST_PLACE - 1) :]
        return [(f"{number:>6}  ", _DIM), (f"{place:<{width}}  ", _DIM)]

    def _place_width(self, nodes: list[Node]) -> int:
        for node in nodes:
            self._complete(node)
        longest = max((len(self._place(node)) for node in nodes), default=0)
        return min(longest, _WIDEST_PLACE)

    def _place(self, node: Node, line: int | None = None) -> str:
        """Where in ``node`` it went on or was left; else where it is defined."""
        line = self.labels.raise_line(node) if line is None else line
        if line is None or node.code is None:
            return self.labels.place(node)
        code = self.trace.definitions.code(node.code)
        return f"{self.labels.path(self.trace.definitions.path(code.file))}:{line}"

    def _arguments(self, node: Node) -> str:
        if node.plugin is not None:
            return f" {self.labels.summary(node)}"
        if not isinstance(node.begin, r.Call) or node.code is None:
            return "" if self.labels.name(node) == "<module>" else "(…)"
        code = self.trace.definitions.code(node.code)
        if code.name == "<module>":
            return ""
        names = code.arguments[bool(code.self_kind) :]
        values = node.begin.arguments[bool(code.self_kind) :]
        return f"({self._named(names, values)})"

    def _locals(self, node: Node) -> str:
        if not isinstance(node.end, r.Raise) or node.code is None:
            return ""
        code = self.trace.definitions.code(node.code)
        return self._named(code.raise_names, node.end.locals)

    def _named(self, names: tuple[str, ...], values: list[object]) -> str:
        shown = [
            f"{harmless(name)}={self.labels.value(value)}"
            for name, value in zip(names, values, strict=False)
            if not isinstance(value, (Unbound, Function, Class, Module))
            and not name.startswith("@")  # pytest's own, of a rewritten assertion
        ]
        more = len(shown) - _VALUES
        return ", ".join([*shown[:_VALUES], *([f"… {more} more"] * (more > 0))])


def address(trace_id: str, node: Node) -> str:
    """How a command names ``node``."""
    thread = "" if node.thread == 1 else f"{node.thread}."
    return f"{short_id(trace_id)}/{thread}{node.number}"


def source_of(story: Story) -> Node | None:
    """The call that the program's exception came from."""
    if not story.paths or not story.paths[0].frames:
        return None
    return flight(story.paths[0].frames[-1]).raised_in
