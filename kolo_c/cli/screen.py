"""Where a command's lines go: a terminal, with colours and a width, or a file.

Threads: one at a time. Owns: nothing; the file stays open. Fails: what writing raises.
"""

from __future__ import annotations

import os

from kolo_c.cli.cells import cells, fit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

Line = list[tuple[str, str]]
"""Parts of a line: (text, style); the texts are harmless already."""

NARROWEST = 40
_WIDTH = 100
_ASCII = {
    "→": "->", "✗": "x", "…": "...", "·": "-", "µ": "u", "×": "x", "↻": "~", "–": "-",
    "✓": "v", "▸": ">", "≥": ">=",
}  # fmt: skip
_CODES = {
    "dim": "2", "bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36",
    "magenta": "35", "orange": "38;5;208", "blue": "34", "purple": "35", "pink": "95",
    "grey": "90", "bold red": "1;31", "default": "", "": "",
}  # fmt: skip


class Screen:
    """Writes lines to ``file``, coloured if it is a terminal and nobody objects."""

    def __init__(
        self, file: TextIO, width: int | None = None, colour: str = "auto"
    ) -> None:
        self.file = file
        self.terminal = is_terminal(file)
        self.width = width
        if width is None and self.terminal:
            self.width = max(terminal_size(file)[0], NARROWEST)
        self.plain = not _can_encode(file)
        self.coloured = wants_colour(self.terminal, colour)

    def line(self, parts: Line) -> None:
        """Write one line, cut to the width."""
        if self.plain:
            parts = [(self.encodable(text), style) for text, style in parts]
        if self.width is not None:
            parts = cut(parts, self.width, "..." if self.plain else "…")
        if not self.coloured:
            self.file.write("".join([text for text, _ in parts]).rstrip() + "\n")
            return
        self.file.write("".join([_painted(*part) for part in parts]) + "\n")

    def text(self, text: str, style: str = "") -> None:
        """Write one line of one style."""
        self.line([(text, style)])

    def wrapped(self, text: str, style: str = "", indent: str = "") -> None:
        """Write words on as many lines as they take; ``indent`` stands before each."""
        line = ""
        for word in self.encodable(text).split(" "):
            longer = f"{line} {word}" if line else word
            if line and self.width and cells(indent) + cells(longer) > self.width:
                self.text(indent + line, style)
                longer = word
            line = longer
        self.text(indent + line, style)

    def long(self, head: str, text: str, style: str = "") -> None:
        """Write ``text`` after ``head`` on as many lines as it takes, whole."""
        room = None if self.width is None else max(self.width - cells(head), 16)
        for piece in _pieces(self.encodable(text), room):
            self.line([(head, style), (piece, "")])
            head, style = " " * cells(head), ""

    def encodable(self, text: str) -> str:
        """``text`` in what the file can encode."""
        if not self.plain or text.isascii():
            return text
        for char, ascii_text in _ASCII.items():
            text = text.replace(char, ascii_text)
        encoding = self.file.encoding or "ascii"
        return text.encode(encoding, "backslashreplace").decode(encoding)


def wants_colour(terminal: bool, colour: str = "auto") -> bool:
    """Whether to colour: as told, else as the environment says, else on a terminal."""
    if colour != "auto":
        return colour == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return terminal and os.environ.get("TERM") != "dumb"


def terminal_size(file: TextIO) -> tuple[int, int]:
    """Columns and lines: of COLUMNS and LINES, else of the terminal behind ``file``."""
    try:
        found = os.get_terminal_size(file.fileno())
    except (AttributeError, ValueError, OSError):
        found = os.terminal_size((_WIDTH, 40))
    return (
        _from_environment("COLUMNS") or found.columns or _WIDTH,
        _from_environment("LINES") or found.lines or 40,
    )


def is_terminal(file: TextIO) -> bool:
    """Whether somebody looks at what is written to ``file``."""
    try:
        return file.isatty()
    except (AttributeError, ValueError):
        return False


def cut(parts: Line, width: int, mark: str) -> Line:
    """``parts`` in at most ``width`` columns."""
    room = width
    kept: Line = []
    for text, style in parts:
        taken = cells(text)
        if taken > room:
            kept.append((fit(text, room, mark), style))
            return kept
        kept.append((text, style))
        room -= taken
    return kept


def _pieces(text: str, room: int | None) -> list[str]:
    """``text`` in pieces of at most ``room`` columns."""
    if room is None or cells(text) <= room:
        return [text]
    pieces = [""]
    used = 0
    for char in text:
        wide = cells(char)
        if used + wide > room:
            pieces.append("")
            used = 0
        pieces[-1] += char
        used += wide
    return pieces


def _painted(text: str, style: str) -> str:
    code = _CODES.get(style, "")
    return f"\x1b[{code}m{text}\x1b[0m" if code and text else text


def _from_environment(name: str) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 6 else 0


def _can_encode(file: TextIO) -> bool:
    encoding = (getattr(file, "encoding", None) or "utf-8").lower()
    if encoding in ("utf-8", "utf8"):
        return True
    try:
        "".join(_ASCII).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
