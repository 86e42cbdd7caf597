"""``%%kolo_c`` in IPython and Jupyter: record a cell and show its calls.

    %load_ext kolo_c.integrations.ipython

    %%kolo_c [--depth N] [NAME]
    total(orders)

Functions of the cell, of earlier ones and of the project are recorded. The tree is
shown as text or, where that can be shown, as HTML, which is all there is: no file that
will be gone later, and no address of one. The trace is stored like any other.

Threads: the shell's. Owns: nothing beyond a cell. Fails: UsageError of IPython for a
wrong line; where nothing can be recorded the cell runs, and a warning says why.
"""

from __future__ import annotations

import io
import re
import shlex
from html import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.api import Trace as Recording
    from kolo_c.store.trace import Trace

# What a cell's code calls its file: in a terminal, and in a kernel.
CELLS = ("<ipython-input-*", "**/ipykernel_*/*.py")
_WIDTH = 100
_CODE = re.compile(r"\x1b\[([0-9;]*)m")
_STYLES = {
    "1": "font-weight:bold", "2": "opacity:.6", "31": "color:#c62828",
    "32": "color:#2e7d32", "33": "color:#b26a00", "34": "color:#1565c0",
    "35": "color:#8e24aa", "36": "color:#00838f", "90": "color:#757575",
    "95": "color:#ad1457", "1;31": "font-weight:bold;color:#c62828",
    "38;5;208": "color:#e65100",
}  # fmt: skip


class Tree:
    """The calls of a cell, as IPython shows a result."""

    def __init__(self, trace_id: str, text: str, coloured: str) -> None:
        self.trace_id = trace_id
        self._text = text
        self._coloured = coloured

    def __repr__(self) -> str:
        return self._text.rstrip("\n")

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def _repr_html_(self) -> str:
        return (
            '<pre style="overflow-x:auto;line-height:1.35">'
            f"{_as_html(self._coloured)}</pre>"
        )


def load_ipython_extension(shell: Any) -> None:
    """For ``%load_ext kolo_c.integrations.ipython``."""

    def kolo_c(line: str, cell: str) -> None:
        """%%kolo_c [--depth N] [NAME]: record the cell and show its calls."""
        record_cell(shell, line, cell)

    shell.register_magic_function(kolo_c, "cell", "kolo_c")


def record_cell(shell: Any, line: str, cell: str) -> None:
    """Run ``cell`` as the shell would, recorded; its calls are displayed after it."""
    name, depth = _options(line)
    recording = _start(name)
    error = None
    try:
        error = shell.run_cell(cell).error_in_exec
    finally:
        if recording is not None:
            recording.stop(error)
    if recording is not None and recording.trace_id is not None:
        from IPython.display import display  # noqa: PLC0415 - it runs in IPython

        show: Any = display  # which has no types
        show(_tree(recording.trace_id, depth))


def _options(line: str) -> tuple[str, int | None]:
    from IPython.core.error import UsageError  # noqa: PLC0415 - it runs in IPython

    words = shlex.split(line)
    depth = None
    if words[:1] == ["--depth"]:
        if len(words) < 2 or not words[1].isdecimal():
            raise UsageError("%%kolo_c: --depth needs a number: %%kolo_c --depth 3")
        depth, words = int(words[1]), words[2:]
    if words and words[0].startswith("-"):
        raise UsageError(f"%%kolo_c: unknown option {words[0]}; there is --depth N")
    return " ".join(words) or "cell", depth


def _start(name: str) -> Recording | None:
    import warnings  # noqa: PLC0415 - as all that follows: in IPython alone

    from kolo_c.api import trace  # noqa: PLC0415
    from kolo_c.config import load  # noqa: PLC0415
    from kolo_c.errors import KoloError  # noqa: PLC0415
    from kolo_c.project import find_project  # noqa: PLC0415
    from kolo_c.switch import OFF_HINT, is_off  # noqa: PLC0415

    if is_off():
        warnings.warn(f"nothing is recorded: {OFF_HINT}", RuntimeWarning, stacklevel=4)
        return None
    kept = load(find_project().root).config.include_frames
    try:
        # Within a session that runs already it is a trace of its own.
        return trace(name, boundary=True, include_frames=(*CELLS, *kept)).start()
    except KoloError as error:
        warnings.warn(f"nothing is recorded: {error}", RuntimeWarning, stacklevel=4)
        return None


def _tree(trace_id: str, depth: int | None) -> Tree:
    from kolo_c.project import find_project  # noqa: PLC0415
    from kolo_c.scope import active_session  # noqa: PLC0415
    from kolo_c.store.reader import Store  # noqa: PLC0415

    session = active_session()
    if session is not None:
        session.flush()
    path = session.project.store if session is not None else find_project().store
    with Store(path) as store:
        trace = store.trace(trace_id)
        texts = [_shown(trace, depth, colour) for colour in ("never", "always")]
    return Tree(trace_id, *texts)


def _shown(trace: Trace, depth: int | None, colour: str) -> str:
    from kolo_c.cli.view import Options, View  # noqa: PLC0415

    file = io.StringIO()
    View(trace, Options(depth=depth, width=_WIDTH, colour=colour)).write(file)
    return file.getvalue()


def _as_html(text: str) -> str:
    """Lines with a terminal's colours as HTML; everything else is escaped."""
    parts = _CODE.split(text)
    written = [escape(parts[0])]
    is_open = False
    for code, words in zip(parts[1::2], parts[2::2], strict=True):
        if is_open:
            written.append("</span>")
        style = _STYLES.get(code, "")
        is_open = bool(style)
        if is_open:
            written.append(f'<span style="{style}">')
        written.append(escape(words))
    return "".join(written) + "</span>" * is_open
