"""Where a command's lines go: a terminal, with colours and a width, or a file.

Threads: one at a time. Owns: nothing; the file stays open. Fails: what writing raises.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

Line = list[tuple[str, str]]
"""Parts of a line: (text, style); the texts are harmless already."""

_ASCII = {"→": "->", "✗": "x", "…": "...", "·": "-", "µ": "u", "×": "x", "↻": "~"}


class Screen:
    """Writes lines to ``file``, coloured if it is a terminal and nobody objects."""

    def __init__(self, file: TextIO, width: int | None = None) -> None:
        self.file = file
        self.terminal = _is_terminal(file)
        self.width = width
        if width is None and self.terminal:
            import shutil  # noqa: PLC0415 - 2 ms, which a pipe does without

            self.width = max(shutil.get_terminal_size((100, 40)).columns, 40)
        self.plain = not _can_encode(file)
        unwanted = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self.coloured = self.terminal and not unwanted
        self._console = console(file, self.width) if self.coloured else None

    def line(self, parts: Line) -> None:
        """Write one line, cut to the width."""
        parts = [(self.encodable(text), style) for text, style in parts]
        if self.width is not None:
            parts = cut(parts, self.width, "..." if self.plain else "…")
        if self._console is None:
            self.file.write("".join(text for text, _ in parts).rstrip() + "\n")
            return
        from rich.text import Text  # noqa: PLC0415 - a pipe does without

        text = Text(no_wrap=True, end="")
        for part, style in parts:
            text.append(part, style)
        self._console.print(text, soft_wrap=True, highlight=False, end="\n")

    def text(self, text: str, style: str = "") -> None:
        """Write one line of one style."""
        self.line([(text, style)])

    def encodable(self, text: str) -> str:
        """``text`` in what the file can encode."""
        if not self.plain:
            return text
        for char, ascii_text in _ASCII.items():
            text = text.replace(char, ascii_text)
        encoding = self.file.encoding or "ascii"
        return text.encode(encoding, "backslashreplace").decode(encoding)


def console(file: TextIO, width: int | None) -> Any:
    """A rich console that writes to ``file``."""
    from rich.console import Console  # noqa: PLC0415 - only for colours and tables

    return Console(file=file, width=width, highlight=False, markup=False, emoji=False)


def cut(parts: Line, width: int, mark: str) -> Line:
    """``parts`` in at most ``width`` characters."""
    room = width
    kept: Line = []
    for text, style in parts:
        if len(text) > room:
            kept.append((text[: max(room - len(mark), 0)] + mark[:room], style))
            return kept
        kept.append((text, style))
        room -= len(text)
    return kept


def _is_terminal(file: TextIO) -> bool:
    try:
        return file.isatty()
    except (AttributeError, ValueError):
        return False


def _can_encode(file: TextIO) -> bool:
    try:
        "".join(_ASCII).encode(getattr(file, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
