"""The closing lines: what was recorded, where, how to see it; or why there is nothing.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import gc
import os
import sys

from kolo_c.cli.empty import why_nothing_recorded
from kolo_c.cli.units import duration, plural, short_id, size
from kolo_c.errors import harmless
from kolo_c.store.locate import command_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.filter import Filter
    from kolo_c.project import Project
    from kolo_c.store.reader import Trace
    from kolo_c.summary import Summary

# Time that the program was held is worth a line from here on.
_WAITED_NS = 100_000_000
# What tracing cost is worth a word from here on.
_OWN_NS = 1_000_000
_BUSY_CALLS = 10_000
_BUSY_SHARE = 0.5
_STORY_LINES = 30
_STORY_BLOCKS = 8
_WIDTH_OF_A_FILE = 160
_NARROW = 60
_LEAST_WIDTH = 40


def closing_lines(
    summary: Summary, name: str, project: Project, chosen: Filter
) -> list[str]:
    """What to tell after a program has ended, most important first."""
    if summary.calls == 0:
        lines = why_nothing_recorded(name, project, chosen, summary.problems)
    else:
        lines = [_recorded(summary, name, project)]
    if summary.lost:
        lines.append(
            f"{plural(summary.lost, 'record')} lost; the trace marks where. "
            'overflow = "wait" and a larger wait_max lose less'
        )
    if summary.errors:
        lines.append(
            f"{plural(summary.errors, 'error')} while recording; "
            f"{project.store}/kolo_c.log has the first of each"
        )
    if summary.waited_ns >= _WAITED_NS:
        waited = duration(summary.waited_ns)
        lines.append(f"the program was held for {waited} because the disk was slower")
    # A reason may be known to several of them.
    lines.extend(
        dict.fromkeys((*project.notes, *chosen.problems, *summary.problems)).keys()
    )
    return lines


def _recorded(summary: Summary, name: str, project: Project) -> str:
    took = duration(summary.duration_ns)
    if summary.own_ns >= _OWN_NS:
        took += f" (own cost {duration(summary.own_ns)})"
    changed = ""
    if summary.masked:
        changed += f", {plural(summary.masked, 'value')} masked"
    if summary.truncated:
        changed += f", {plural(summary.truncated, 'value')} cut short"
    return (
        f"recorded {plural(summary.calls, 'call')} of {name} in {took}, "
        f"{size(summary.bytes)} of records in {project.store}{changed}; "
        f"see it with: {_command(project)} show {short_id(summary.trace_id)}"
    )


def _command(project: Project) -> str:
    """``kolo-c``, as it reads this store where the program was started."""
    return harmless(command_for(os.fspath(project.store), os.fspath(project.cwd)))


def exit_line(found: dict[str, object], root: str) -> str:
    """One line for a program that asked to end with something else than 0."""
    text = f"the program ended with exit code {found.get('exit_code')}"
    chain = found.get("chain")
    link = chain[0] if isinstance(chain, list) and chain else {}
    path = str(link.get("file", ""))
    if path.startswith(root.rstrip(os.sep) + os.sep):
        place = path[len(root.rstrip(os.sep)) + 1 :]
        text += f", from {link.get('function')} ({place}:{link.get('line')})"
    return text


def read_back(
    summary: Summary, process_id: str, project: Project, *, failed: bool
) -> tuple[list[str], list[str]]:
    """What takes a look at the trace: the story of a failure, and closing lines more.

    Its own session is closed. Whatever the program has made of the modules that are
    imported for it, or of this process, the worst that comes of it are no lines.
    """
    story: list[str] = []
    more: list[str] = []
    busy = summary.calls > _BUSY_CALLS
    if not summary.calls or not (failed or busy):
        return story, more
    collecting = gc.isenabled()
    gc.disable()  # many objects that all stay: half of the time; and none of theirs go
    try:
        from kolo_c.store.catalogue import Catalogue  # noqa: PLC0415 - see above
        from kolo_c.store.files import list_processes  # noqa: PLC0415
        from kolo_c.store.reader import Store  # noqa: PLC0415

        files = [f for f in list_processes(summary.store) if f.id == process_id]
        with Store(summary.store, Catalogue(summary.store, files)) as store:
            trace = store.trace(summary.trace_id)
            if failed:
                story = _story_lines(trace, project)
            if busy:
                more = _busy_line(trace, project)
    except Exception:
        pass  # `kolo-c why` will say what it was
    finally:
        if collecting:
            gc.enable()
    return story, more


def _story_lines(trace: Trace, project: Project) -> list[str]:
    import io  # noqa: PLC0415 - the next ones: for failures alone

    from kolo_c.cli.screen import Screen  # noqa: PLC0415
    from kolo_c.cli.story import StoryText  # noqa: PLC0415
    from kolo_c.model.story import tell  # noqa: PLC0415

    class Text(io.StringIO):
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"

    width = _width() or _WIDTH_OF_A_FILE
    story = StoryText(
        tell(trace, most=_STORY_BLOCKS),
        frames=8,
        stacks=8,
        value_width=24 if width < _NARROW else 40,
    )
    file = Text()
    # A text has no colours: what reads stderr may be a terminal or a file.
    screen = Screen(file, width)
    for line in story.lines():
        screen.line(line)
    lines = file.getvalue().splitlines()
    if len(lines) > _STORY_LINES - 1:
        lines = [*lines[: _STORY_LINES - 2], "  …"]
    return [*lines, f"  more of it: {_command(project)} why {short_id(trace.id)}"]


def _width() -> int | None:
    """Of the terminal that stderr is; None where it is none."""
    try:
        if not sys.stderr.isatty():
            return None
        columns = os.environ.get("COLUMNS", "")
        if columns.isdigit() and int(columns):
            return max(int(columns), _LEAST_WIDTH)
        return max(os.get_terminal_size(sys.stderr.fileno()).columns, _LEAST_WIDTH)
    except Exception:
        return None  # the program has put something else in its place


def _busy_line(trace: Trace, project: Project) -> list[str]:
    import shlex  # noqa: PLC0415 - the next ones: for a busy function alone

    from kolo_c.model.busiest import CallSample  # noqa: PLC0415
    from kolo_c.patterns import rule_for  # noqa: PLC0415
    from kolo_c.project import find_root  # noqa: PLC0415

    found = CallSample(trace).busiest()
    if found is None or found[1] <= _BUSY_SHARE:
        return []
    code = trace.definitions.code(found[0])
    rule = rule_for(code.module, code.qualname)
    if rule is None or code.name == "<module>":
        return []
    words = ["kolo-c", "ignore", rule]
    # The command is typed where the program was: it may find another project there.
    if os.fspath(find_root(None, cwd=project.cwd)[0]) != os.fspath(project.root):
        words += ["--project", os.fspath(project.root)]
    return [
        f"{harmless(code.qualname)} made about {found[1]:.0%} of the calls; "
        f"to leave it out: {harmless(shlex.join(words))}"
    ]
