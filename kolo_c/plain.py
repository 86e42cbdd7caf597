"""A value as JSON has it, or as text, without running code of the program.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Scalar = str | int | float | bool | None

TEXT_CHARACTERS = 1000

_INT_MOST = 1 << 63
# Their text comes from C or the standard library, and asks nobody.
_WITH_TEXT = frozenset(
    {
        ("datetime", "date"),
        ("datetime", "time"),
        ("datetime", "timedelta"),
        ("decimal", "Decimal"),
        ("fractions", "Fraction"),
        ("uuid", "UUID"),
        *(
            (module, name)
            for module in ("pathlib", "pathlib._local")  # 3.13 has the second alone
            for name in ("PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath")
        ),
    }
)
_qualname_of: Callable[[type], str] = type.__dict__["__qualname__"].__get__
_module_of: Callable[[type], object] = type.__dict__["__module__"].__get__


def plain(value: object) -> Scalar:
    """``value`` as JSON has it, or as text; without running code of the program."""
    kind = type(value)
    if kind is str and len(value) <= TEXT_CHARACTERS and value.isascii():  # type: ignore[arg-type, attr-defined]
        return value  # type: ignore[return-value]
    if value is None:
        return None
    if kind is bool:
        return value is True
    if issubclass(kind, str):
        return _clean(str.__str__(value)[:TEXT_CHARACTERS])
    if issubclass(kind, int):
        number: int = int.__add__(value, 0)  # type: ignore[operator]
        return number if -_INT_MOST <= number < _INT_MOST else _cut(hex(number))
    if issubclass(kind, float):
        real: float = float.__add__(value, 0.0)  # type: ignore[operator]
        return real if real - real == 0 else float.__repr__(real)
    return _cut(_clean(_text(kind, value)))


def plain_text(value: object) -> str:
    """``value`` as text, in the same way."""
    found = plain(value)
    return found if isinstance(found, str) else str(found)


def _text(kind: type, value: object) -> str:
    name = _qualname_of(kind)
    try:
        module = _module_of(kind)
    except AttributeError:
        module = None
    if type(module) is not str:
        return f"<{name}>"
    known = getattr(sys.modules.get(module), name, None) is kind
    if known and (module, name) == ("datetime", "datetime"):
        return _moment(value)
    if known and (module, name) in _WITH_TEXT:
        return str(value)
    enum = sys.modules.get("enum")
    if enum is not None and issubclass(kind, enum.Enum):
        # Enum keeps such names for itself: no class of the program has it otherwise.
        member = object.__getattribute__(value, "_name_")
        return f"{name}.{member}" if type(member) is str else f"<{name}>"
    return f"<{name}>" if module == "builtins" else f"<{module}.{name}>"


def _moment(value: object) -> str:
    """A datetime; its zone only where that is not a class of the program's."""
    zone = value.tzinfo  # type: ignore[attr-defined]
    known = [("datetime", "timezone"), ("zoneinfo", "ZoneInfo")]
    ours = [getattr(sys.modules.get(module), name, None) for module, name in known]
    if zone is not None and type(zone) not in ours:
        value = value.replace(tzinfo=None)  # type: ignore[attr-defined]
    return str(value)


def _clean(text: str) -> str:
    """Without lone surrogates, which no file takes."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _cut(text: str) -> str:
    if len(text) <= TEXT_CHARACTERS:
        return text
    return text[: TEXT_CHARACTERS - 1] + "…"
