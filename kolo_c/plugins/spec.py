"""What a plugin is: the code that it watches, and what it makes of a call of it.

    class Payment(kolo_c.Plugin):
        watch = "shop.payments:Gateway.charge"
        kind = kolo_c.Kind("payment", "PAYMENT", "green", "{amount} of {customer}")

        def start(self, frame):
            return {"amount": frame.f_locals["amount"]}

        def finish(self, frame, value, exception):
            return {"accepted": exception is None}

A dict with the same names, or any class or object that has them, will do as well.

Threads: any. Owns: nothing.
Fails: ``compile_plugin`` raises PluginError, which says what is wrong with a plugin.
"""

from __future__ import annotations

from kolo_c.errors import PluginError
from kolo_c.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import CodeType, FrameType
    from typing import Any

    Fields = Mapping[str, Any]

COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "grey")
LIMITS = (5, 64, 4096, 16_384)
"""Of a plugin's fields: depth, items of a container, bytes of a text, of a record."""
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")
_ANY = "*"


class Kind(Frozen):
    """A kind of record: what every view needs to show records of it."""

    name: str
    """Lower-case letters, digits, ``_`` and ``-``: for ``--kind`` and queries."""
    label: str = ""
    """What stands before the summary; by default the name in capitals."""
    colour: str = "cyan"
    summary: str = ""
    """One line: ``{method} {path}[ → {status}]``. A part in brackets is left out where
    one of its fields is missing or None. Without one all fields are shown."""

    def wire(self) -> tuple[str, str, str, str]:
        """In the words of the core."""
        return (self.name, self.label or self.name.upper(), self.colour, self.summary)


class Plugin:
    """Base of a plugin; all is optional but ``watch`` (or ``modules``)."""

    name = ""
    """By default the class's name."""
    watch: str | tuple[str, ...] = ()
    """``MODULE:QUALNAME``, each with ``*``, ``?`` and ``[…]``, or ``path:GLOB``.
    ``MODULE:<module>`` is the module's body."""
    kind: Kind | None = None
    """None: it makes no records."""
    boundary = False
    """A call opens a trace of its own, where none of that sort is open."""
    apart = False
    """Of a boundary: it opens one also within another's, as a child of that."""
    takes_all = False
    """Of a boundary: while it runs, what has no trace of its own belongs to it."""
    attributes: tuple[str, ...] = ()
    """Of a boundary: the fields that its trace can be found by."""
    modules: tuple[str, ...] = ()
    """``install`` runs when the first of them is imported, ``remove`` at the end."""
    limits: tuple[int, int, int, int] = LIMITS

    def when(self, frame: FrameType) -> bool:
        """Whether this call is of interest; cheap."""
        return True

    def start(self, frame: FrameType) -> Fields | None:
        """A call begins: the fields of its record; None: there is none.

        Fields whose names begin with ``_`` are not recorded. What is given lives until
        the call has ended, as seen by us: of a generator that is given up while it is
        suspended, until the session's end (3.13 and newer).
        """
        return {}

    if TYPE_CHECKING:
        # So that one without ``started`` may override it.
        def finish(self, *arguments: Any, **named: Any) -> Fields | None: ...
    else:

        def finish(
            self,
            frame: FrameType,
            value: Any,
            exception: BaseException | None,
            started: Fields,
        ) -> Fields | None:
            """It ends with ``value`` or by ``exception``: further fields.

            ``started`` is what ``start`` gave; a ``finish`` without it will do.
            ``exception`` is True where Python does not tell which one it was (3.10 and
            3.11 with setprofile).
            """
            return None


class Compiled(Frozen):
    """A plugin as the registry uses it: all that is optional filled in."""

    name: str
    watch: tuple[tuple[str | None, str | None, str | None], ...]
    """(module, qualname, path) each."""
    kind: Kind | None
    boundary: bool
    apart: bool
    takes_all: bool
    attributes: tuple[str, ...]
    modules: tuple[str, ...]
    limits: tuple[int, int, int, int]
    when: Callable[[FrameType], Any] | None
    start: Callable[[FrameType], Any] | None
    finish: Callable[[FrameType, Any, Any, Any], Any] | None
    meets: Callable[[CodeType], Any] | None
    """Called once with each code object that it watches. For this and ``ignored`` a
    program's own plugins have no names."""
    ignored: set[Any] | None
    """Functions: a call that returns a list with none but these, or a tuple of such
    lists, is not shown to ``finish``."""
    holds: Callable[[Fields], bool] | None
    """Of a boundary, asked at its start: is it decided at its end whether it is
    stored?"""
    stored: Callable[[Fields, bool], bool] | None
    """The same, asked at its end, with all fields and whether an exception left it."""
    settings: Callable[[Fields], Mapping[str, Any] | None] | None
    """Of a boundary, asked at its start: filters of its own."""
    install: Callable[[], Sequence[str] | None] | None
    """May say what it could not do, for those who look for what is not recorded."""
    remove: Callable[[], None] | None
    _aside = (
        "when", "start", "finish", "meets", "ignored", "holds", "stored", "install",
        "remove",
    )  # fmt: skip

    @property
    def is_simple(self) -> bool:
        """Whether the core may begin and end the traces of a boundary by itself
        (src/trace/boundary_simple.h)."""
        special = self.apart or self.takes_all or self.settings is not None
        return self.boundary and not special


def compile_plugin(source: Any, **known: Any) -> Compiled:
    """Read a plugin: a class, an object, or a dict. PluginError if it is none.

    What is ``known`` of it elsewhere (its name, what it watches) holds.
    """
    if isinstance(source, type):
        try:
            source = source()
        except Exception as error:
            raise _wrong(source.__name__, f"could not be made: {error!r}") from error
    get = _getter(source, known)
    name = get("name") or type(source).__name__
    if not isinstance(name, str):
        raise _wrong("?", "name must be a text")
    modules = _names(name, "modules", get("modules"))
    install = _callable(name, "install", get("install"))
    watch = tuple(
        parse_watch(name, text) for text in _names(name, "watch", get("watch"))
    )
    if not watch and not (modules and install):
        raise _wrong(name, "has no watch")
    kind = _kind(name, get("kind"))
    boundary = bool(get("boundary"))
    if boundary and kind is None:
        raise _wrong(name, "is a boundary, and must have a kind")
    return Compiled(
        name,
        watch,
        kind,
        boundary,
        bool(get("apart")),
        bool(get("takes_all")),
        _names(name, "attributes", get("attributes")),
        modules,
        _limits(name, get("limits")),
        _own(_callable(name, "when", get("when")), Plugin.when),
        _own(_callable(name, "start", get("start")), Plugin.start),
        _finish(_own(_callable(name, "finish", get("finish")), Plugin.finish)),
        known.get("meets"),
        known.get("ignored"),
        _callable(name, "holds", get("holds")),
        _callable(name, "stored", get("stored")),
        _callable(name, "settings", get("settings")),
        install,
        _callable(name, "remove", get("remove")),
    )


def parse_watch(name: str, text: str) -> tuple[str | None, str | None, str | None]:
    """(module, qualname, path) of one line of a plugin's ``watch``."""
    before, colon, after = text.partition(":")
    if not colon or not before or not after:
        raise _wrong(
            name, f"watches {text!r}, which is neither MODULE:QUALNAME nor path:GLOB"
        )
    if before == "path":
        absolute = after.startswith(("/", _ANY))
        return None, None, after if absolute else f"*/{after}"
    return before if before != _ANY else None, after if after != _ANY else None, None


def _getter(source: Any, known: Mapping[str, Any]) -> Callable[[str], Any]:
    if isinstance(source, dict):
        more = {"holds", "stored", "settings", "install", "remove"}
        names = Plugin.__dict__.keys() | more
        for key in source:
            if key not in names or str(key).startswith("__"):
                raise _wrong(str(source.get("name", "?")), f"has no setting {key!r}")
        return lambda key: known[key] if key in known else source.get(key)
    return lambda key: known[key] if key in known else getattr(source, key, None)


def _names(name: str, key: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, (tuple, list)) or not all(
        isinstance(text, str) for text in texts
    ):
        raise _wrong(name, f"{key} must be a text or several, not {value!r}")
    return tuple(texts)


def _callable(name: str, key: str, value: Any) -> Any:
    if value is not None and not callable(value):
        raise _wrong(name, f"{key} must be a function, not {type(value).__name__}")
    return value


def _own(handler: Any, default: Any) -> Any:
    """None for the base class's, so that nothing is called that does nothing."""
    return None if getattr(handler, "__func__", handler) is default else handler


def _finish(handler: Any) -> Any:
    """With the four parameters that the core gives."""
    if handler is None:
        return None
    function = getattr(handler, "__func__", handler)
    code = getattr(function, "__code__", None)
    if code is None or code.co_flags & 0x04:  # *args
        return handler
    count = code.co_argcount - (function is not handler)
    if count >= 4:
        return handler

    def finish(frame: FrameType, value: Any, exception: Any, _: Any) -> Any:
        return handler(frame, value, exception)

    return finish


def _kind(name: str, value: Any) -> Kind | None:
    if isinstance(value, dict):
        try:
            value = Kind(**value)
        except TypeError as error:
            raise _wrong(name, f"kind: {error}") from error
    if value is not None and not isinstance(value, Kind):
        raise _wrong(name, "kind must be a kolo_c.Kind, or a dict with its names")
    if value is not None:
        check_kind(name, value)
    return value


def check_kind(name: str, kind: Kind) -> None:
    """PluginError where ``kind`` cannot be shown."""
    if not kind.name or set(kind.name) - _NAME_CHARACTERS:
        raise _wrong(
            name, f"kind {kind.name!r}: lower-case letters, digits, _ and - are allowed"
        )
    if kind.colour not in COLOURS:
        raise _wrong(name, f"colour {kind.colour!r} is not one of {', '.join(COLOURS)}")


def _limits(name: str, value: Any) -> tuple[int, int, int, int]:
    limits = LIMITS if value is None else tuple(value)
    if len(limits) != 4 or not all(isinstance(limit, int) for limit in limits):
        raise _wrong(name, "limits are four whole numbers")
    return limits


def _wrong(name: str, what: str) -> PluginError:
    return PluginError(
        f"the plugin {name} {what}", "docs/howto/plugins.md has examples of each form."
    )
