"""What the program writes to ``sys.stdout`` and ``sys.stderr``, line by line, at its
place in the tree: with ``stdout = true``.

Each is replaced by a wrapper of the same buffer, so that bytes, ``fileno`` and
``isatty`` are what they were. One that the program has put something else in the place
of is left alone. What is written to ``sys.stdout.buffer``, or by C, is not seen. Of a
write that fails the last frame of the traceback is ours.

Threads: any. Owns: the wrappers, to the end of the process: the program may hold them.
Fails: as the stream that it stands for.
"""

from __future__ import annotations

import sys
from _thread import _local
from io import TextIOWrapper

from kolo_c.plugins.secret import mask_pairs
from kolo_c.plugins.spec import Kind, Plugin
from kolo_c.scope import SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KINDS = {
    "stdout": Kind("stdout", "STDOUT", "grey", "{text}"),
    "stderr": Kind("stderr", "STDERR", "pink", "{text}"),
}
_LINE_CHARACTERS = 4000

_wrapped: dict[str, tuple[TextIOWrapper, RecordedStream]] = {}
_kept: list[RecordedStream] = []


class Line(_local):
    """The line that a thread is writing."""

    text = ""


class RecordedStream(TextIOWrapper):
    """``sys.stdout``, whose lines are recorded."""

    def write(self, text: str) -> int:
        """As of the stream; then tell it."""
        count = super().write(text)
        if self.kolo_c_on and SCOPE.session is not None:
            self._tell(text)
        return count

    def _tell(self, text: str) -> None:
        """Lines that are complete are told where they are written; the rest is, with
        what completes it, where that is."""
        line: Line = self.kolo_c_line
        written = line.text + text
        end = written.rfind("\n") + 1
        line.text = written[end:]
        if end:
            self._point(SCOPE.session, written[: end - 1])
        if len(line.text) > _LINE_CHARACTERS:
            self.tell_rest(SCOPE.session)

    def tell_rest(self, session: Any) -> None:
        """Record what this thread has written of a line."""
        line: Line = self.kolo_c_line
        told, line.text = line.text, ""
        self._point(session, told)

    def _point(self, session: Any, told: str) -> None:
        if told and session is not None:
            try:
                index = session.plugins.index_of(self.kolo_c_kind)
                fields = {"text": mask_pairs(told[: 2 * _LINE_CHARACTERS])}
                session.native.plugin_point(index, fields)
            except Exception:
                pass  # the program goes on, whatever it is

    def close(self) -> None:
        """Not when it goes away: the buffer is another's, too."""
        if not getattr(self, "_finalizing", False):
            super().close()

    kolo_c_on = False
    kolo_c_line: Line
    kolo_c_kind: Kind


class Output(Plugin):
    """Both streams."""

    name = "output"
    modules = ("sys",)

    def __init__(self) -> None:
        self.session: Any = None

    def install(self) -> None:
        """Replace them, where they are as Python made them."""
        for name in KINDS:
            stream = getattr(sys, name)
            if type(stream) is TextIOWrapper and name not in _wrapped:
                stream.flush()
                wrapper = _wrapper(name, stream)
                _wrapped[name] = stream, wrapper
                _kept.append(wrapper)
                _replace(name, stream, wrapper)

    def remove(self) -> None:
        """Put them back, set as the program has set them."""
        for name, (stream, wrapper) in list(_wrapped.items()):
            del _wrapped[name]
            wrapper.kolo_c_on = False
            wrapper.tell_rest(self.session)
            try:
                wrapper.flush()
                if (stream.encoding, stream.errors) != (
                    wrapper.encoding,
                    wrapper.errors,
                ):
                    stream.reconfigure(encoding=wrapper.encoding, errors=wrapper.errors)
                stream.reconfigure(
                    line_buffering=wrapper.line_buffering,
                    write_through=wrapper.write_through,
                )
            except (ValueError, OSError):
                pass  # the program closed it, or its reader went away
            _replace(name, wrapper, stream)


def _wrapper(name: str, stream: TextIOWrapper) -> RecordedStream:
    made = RecordedStream(
        stream.buffer,
        encoding=stream.encoding,
        errors=stream.errors,
        newline="\n",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
    made.mode = stream.mode  # type: ignore[misc]
    made.kolo_c_on = True
    made.kolo_c_line = Line()
    made.kolo_c_kind = KINDS[name]
    return made


def _replace(name: str, old: Any, new: Any) -> None:
    for place in (name, f"__{name}__"):
        if getattr(sys, place) is old:
            setattr(sys, place, new)
