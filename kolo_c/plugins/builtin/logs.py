"""``logging`` and ``warnings``: what the program said to its logs.

A line of the log is left when all handlers have had it: its text is what they made of
it. Where no handler did (none was there, all were set to a higher level) it is made of
the message and of those arguments that have a text without asking a class of the
program's; the others stand as ``<module.Class>``.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.plain import plain_text
from kolo_c.plugins import emit
from kolo_c.plugins.builtin.bodies import remember
from kolo_c.plugins.emit import local
from kolo_c.plugins.secret import mask_pairs
from kolo_c.plugins.spec import Kind, Plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType
    from typing import Any

WARNING = Kind("warning", "WARNING", "yellow", "{category}: {text}")
_CHARACTERS = 4000
"""Of a text; a longer one is cut."""
_ITEMS = 64
_EXTRAS = 16
_OF_LOGGING = frozenset(
    "args asctime created exc_info exc_text filename funcName levelname levelno lineno "
    "message module msecs msg name pathname process processName relativeCreated "
    "stack_info taskName thread threadName".split()
)
"""What each record has; the rest is what the program gave as ``extra``."""
_PLAIN = (str, int, float, bool)
_args_of: Callable[[BaseException], Any] = BaseException.__dict__["args"].__get__
_OWN_TEXT = (BaseException.__str__, OSError.__str__, KeyError.__str__)


class Log(Plugin):
    """A record that passed its logger's level and filters is a line of the log."""

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> None:
        """Each handler has had it."""
        record = local(frame, "record")
        facts = object.__getattribute__(record, "__dict__")
        level, logger = facts.get("levelno"), facts.get("name")
        if isinstance(level, int) and type(logger) is str:
            remember(facts.get("args"))
            emit.log(max(int.__int__(level), 0), logger, mask_pairs(_line(facts)))


class Warned(Plugin):
    """A warning that the filters of ``warnings`` let pass."""

    kind = WARNING

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """It is about to be shown."""
        facts = object.__getattribute__(local(frame, "msg"), "__dict__")
        category = facts.get("category")
        return {
            "category": category.__name__ if isinstance(category, type) else None,
            "text": mask_pairs(said(facts.get("message"))),
            "file": facts.get("filename"),
            "line": facts.get("lineno"),
        }


def _line(facts: Mapping[str, Any]) -> str:
    """The text of a record, its extras, and what exception it tells of."""
    text = facts.get("message")  # by a handler's Formatter
    if type(text) is not str:
        text = _formatted(facts.get("msg"), facts.get("args"))
    extra = [
        f"{name}={_simple(value, 0)!r}"
        for name, value in list(facts.items())
        if type(name) is str
        and name not in _OF_LOGGING
        and type(value) in _PLAIN
        and not name.startswith("kolo_c")
    ]
    if extra:
        text = f"{text} [{' '.join(extra[:_EXTRAS])}]"
    found = facts.get("exc_info")
    if type(found) is tuple and len(found) == 3 and isinstance(found[1], BaseException):
        name, words = type(found[1]).__name__, said(found[1])
        text = f"{text[:_CHARACTERS]}\n{name}: {words}" if words else f"{text}\n{name}"
    return text if len(text) <= 2 * _CHARACTERS else text[: 2 * _CHARACTERS]


def _formatted(message: Any, args: Any) -> str:
    text = _simple(message, 1)
    if type(text) is not str:
        text = repr(text)
    if args is None or (type(args) is tuple and not args):
        return text
    simple = _simple(args, 2)
    try:
        return str(text % simple)
    except (TypeError, ValueError, KeyError):
        return f"{text} {simple!r}"


def said(error: Any) -> str:
    """The text of an exception or warning, without asking a class of the program's."""
    if type(error) is str:
        return error[:_CHARACTERS]
    kind = type(error)  # isinstance() would have a lazy object find what it stands for
    if not issubclass(kind, BaseException) or kind.__str__ not in _OWN_TEXT:
        return plain_text(error)
    words = _simple(_args_of(error), 1)
    if len(words) == 2 and issubclass(kind, OSError):
        return f"[Errno {words[0]}] {words[1]}"
    if issubclass(kind, KeyError):
        return ", ".join(map(repr, words))
    return ", ".join(map(str, words))


class _Text:
    """Stands for an object whose own text must not be asked for."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


def _simple(value: Any, depth: int) -> Any:
    """``value``, or what is shown in its place, bounded."""
    kind = type(value)
    if kind is str:
        return value if len(value) <= _CHARACTERS else f"{value[:_CHARACTERS]}…"
    if value is None or kind is bool or kind is float:
        return value
    if kind is int and -(1 << 63) <= value < 1 << 63:
        return value
    if depth and kind is tuple:
        return tuple(_simple(item, depth - 1) for item in value[:_ITEMS])
    if depth and kind is list:
        return [_simple(item, depth - 1) for item in value[:_ITEMS]]
    if depth and kind is dict:
        items = list(value.items())[:_ITEMS]
        return {key: _simple(at, depth - 1) for key, at in items if type(key) is str}
    if issubclass(kind, BaseException):
        return _Text(said(value))
    return _Text(plain_text(value))
