"""A pager between us and a terminal, where more comes than fits on its screen.

As git does it: only where standard output is a terminal; the program of KOLO_C_PAGER or
PAGER, else ``less``; LESS is set to FRX where it is not set. Nothing is started for
what fits on one screen, and where the pager is not there the lines come without it.

Threads: one at a time. Owns: the pager's process until close(). Fails: what writing
raises, but not for a pager that was left early: what comes after that is dropped.
"""

from __future__ import annotations

import os

from kolo_c.cli.screen import is_terminal, terminal_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from types import TracebackType
    from typing import TextIO


class PagerLeft(Exception):
    """Nobody reads any more: writing more makes no sense."""


class Paged:
    """A text file that shows what it gets in a pager once it is more than a screen.

    Use it in a ``with``: leaving that waits for the pager.
    """

    def __init__(self, file: TextIO, *, wanted: bool = True) -> None:
        self._file = file
        self._command = pager_command() if wanted and is_terminal(file) else ""
        self._held: list[str] = []
        self._lines = 0
        self._room = terminal_size(file)[1] - 1 if self._command else 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def encoding(self) -> str:
        """What the terminal takes."""
        return self._file.encoding

    def isatty(self) -> bool:
        """Whether a person reads it in the end."""
        return is_terminal(self._file)

    def fileno(self) -> int:
        """The terminal's, which has the size."""
        return self._file.fileno()

    def write(self, text: str) -> int:
        """Take text; it is held back until it is clear that it needs a pager."""
        if self._process is not None:
            self._send(text)
        elif not self._command:
            self._file.write(text)
        else:
            self._held.append(text)
            self._lines += text.count("\n")
            if self._lines > self._room:
                self._start()
        return len(text)

    def flush(self) -> None:
        """Nothing: the end flushes."""

    def __enter__(self) -> TextIO:
        return self  # type: ignore[return-value]  # as much of a file as Screen needs

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self.close()
        return kind is PagerLeft

    def close(self) -> None:
        """Write what is held, and wait until the pager has been left."""
        if self._process is None:
            self._release()
            self._file.flush()  # a pipe that is closed shows here, not at the exit
            return
        import signal  # noqa: PLC0415 - only beside a pager

        # Ctrl-C is the pager's as long as it shows something.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            assert self._process.stdin is not None
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass
            self._process.wait()
        finally:
            signal.signal(signal.SIGINT, before)

    def _release(self) -> None:
        held, self._held = self._held, []
        self._command = ""
        self._file.write("".join(held))

    def _start(self) -> None:
        import shlex  # noqa: PLC0415 - only beside a pager
        import subprocess  # noqa: PLC0415

        environment = {"LESS": "FRX", "LV": "-c", **os.environ}
        try:
            words = shlex.split(self._command)
            self._file.flush()
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                env=environment,
                encoding=self._file.encoding,
                errors="backslashreplace",
            )
        except (OSError, ValueError):  # it is not there, or its command makes no sense
            self._release()
            return
        held, self._held = self._held, []
        self._send("".join(held))

    def _send(self, text: str) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(text)
        except BrokenPipeError as error:
            raise PagerLeft from error


def pager_command() -> str:
    """The command of the pager; empty for none."""
    for name in ("KOLO_C_PAGER", "PAGER"):
        if name in os.environ:
            command = os.environ[name].strip()
            return "" if command == "cat" else command
    return "" if os.environ.get("TERM") == "dumb" else "less"
