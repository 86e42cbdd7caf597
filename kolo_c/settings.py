"""What a setting may be: one ``Kind`` per sort of value, with its check and its words.

``Config`` (config.py) names the settings; here is how a value from TOML, from the
environment or from the command line becomes the one that the field holds.

Threads: any. Owns: nothing. Fails: ``ValueError`` with a sentence that completes
"KEY ...", for instance "must be one of auto, setprofile".
"""

from __future__ import annotations

import os

from kolo_c.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_UNITS = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 1 << 10,
    "MIB": 1 << 20,
    "GIB": 1 << 30,
    "TIB": 1 << 40,
}
_SIZE = r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*"
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_INT64_MAX = (1 << 63) - 1


class Kind(Frozen):
    """A sort of value: its name for the reference, and how it is read."""

    words: str
    parse: Callable[[Any], Any]
    """From a TOML value."""
    from_text: Callable[[str], Any]
    """From an environment variable or an argument."""
    choices: tuple[str, ...] = ()


def nearest(word: str, allowed: Iterable[str]) -> str:
    """The allowed word that ``word`` was probably meant to be, or an empty string."""
    import difflib  # noqa: PLC0415 - only needed to say what is wrong

    found = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.5)
    return found[0] if found else ""


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """A sentence that names the nearest allowed word, or else all of them."""
    allowed = sorted(allowed)
    found = nearest(word, allowed)
    if found:
        return f"Did you mean {found!r}?"
    return f"Allowed: {', '.join(allowed)}."


def choice(*allowed: str) -> Kind:
    """One of a few words."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            message = f"must be one of {', '.join(allowed)}, not {value!r}"
            found = nearest(value, allowed) if isinstance(value, str) else ""
            raise ValueError(
                f"{message}. Did you mean {found!r}?" if found else message
            )
        return value

    words = " or ".join(f'"{word}"' for word in allowed)
    return Kind(words, parse, parse, allowed)


def _parse_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value!r}")
    return value


def _bool_from_text(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE and word not in _FALSE:
        raise ValueError(f"must be true or false (1 or 0), not {text!r}")
    return word in _TRUE


boolean = Kind("true or false", _parse_bool, _bool_from_text)


def integer(least: int, most: int) -> Kind:
    """A whole number between two bounds, both included."""

    def parse(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"must be a whole number, not {value!r}")
        if not least <= value <= most:
            raise ValueError(f"must be between {least} and {most}, not {value}")
        return value

    def from_text(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ValueError(f"must be a whole number, not {text!r}") from None
        return parse(value)

    return Kind(f"whole number, {least} to {most}", parse, from_text)


def size(least: int, most: int = _INT64_MAX) -> Kind:
    """Bytes: a whole number, or a text with a unit such as ``"512 MiB"``."""

    def parse(value: Any) -> int:
        if isinstance(value, str):
            import re  # noqa: PLC0415 - 2 ms that a start does without

            match = re.fullmatch(_SIZE, value, re.ASCII)
            unit = _UNITS.get(match[2].upper()) if match else None
            if match is None or unit is None:
                raise ValueError(
                    f"must be a number of bytes or a text such as '512 MiB', "
                    f"not {value!r}"
                )
            value = (
                int(float(match[1]) * unit)
                if "." in match[1]
                else (int(match[1]) * unit)
            )
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(
                f"must be a number of bytes or a text such as '512 MiB', not {value!r}"
            )
        if value < least:
            raise ValueError(f"must be at least {format_size(least)}, not {value}")
        if value > most:
            raise ValueError(f"must be at most {format_size(most)}, not {value}")
        return value

    bounds = f", {format_size(least)} or more" if least else ""
    if most < _INT64_MAX:
        bounds += f", at most {format_size(most)}"
    text = f'bytes: a number, or a text such as "512 MiB"{bounds}'
    return Kind(text, parse, parse)


def number(least: float, most: float, unit: str) -> Kind:
    """A number of ``unit``, not necessarily whole."""

    def parse(value: Any) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise ValueError(f"must be a number of {unit}, not {value!r}")
        # Written so that nan, which compares with nothing, is refused as well.
        if not least <= value <= most:
            raise ValueError(
                f"must be a number of {unit} between {least:g} and {most:g}, "
                f"not {value!r}"
            )
        return float(value)

    def from_text(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"must be a number of {unit}, not {text!r}") from None
        return parse(value)

    return Kind(f"number of {unit}", parse, from_text)


def _parse_strings(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise ValueError(f"must be a list of texts: write [{value!r}]")
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"must be a list of texts, not {value!r}")
    for item in value:
        if not isinstance(item, str):
            raise ValueError(f"must be a list of texts, but it contains {item!r}")
    return tuple(value)


def _strings_from_text(text: str) -> tuple[str, ...]:
    if text.lstrip().startswith("["):
        import json  # noqa: PLC0415 - 3 ms that a start does without

        try:
            return _parse_strings(json.loads(text))
        except json.JSONDecodeError:
            pass  # a pattern may start with [ as well
    return tuple(item.strip() for item in text.split(",") if item.strip())


strings = Kind("list of texts", _parse_strings, _strings_from_text)


def _parse_words(value: Any) -> tuple[str, ...]:
    from kolo_c.masking import split  # noqa: PLC0415 - hardly ever set

    found = []
    for text in strings.parse(value):
        # As names are compared: `apiKey` and `API-KEY` are `api_key`.
        word = split(text).strip("_")
        if not word:
            raise ValueError(f"has {text!r}, which has neither letter nor digit")
        found.append(word)
    return tuple(found)


def _words_from_text(text: str) -> tuple[str, ...]:
    return _parse_words(strings.from_text(text))


words = Kind("list of names", _parse_words, _words_from_text)


def _parse_folders(value: Any) -> tuple[str, ...]:
    for text in strings.parse(value):
        recorded, equals, here = text.partition("=")
        if not equals or not here.strip() or not os.path.isabs(recorded.strip()):
            raise ValueError(f"must have entries like /app=~/shop, but has {text!r}")
    return tuple(value)


def _folders_from_text(text: str) -> tuple[str, ...]:
    return _parse_folders(strings.from_text(text))


folders = Kind("list of FOLDER=FOLDER", _parse_folders, _folders_from_text)


def format_size(count: int) -> str:
    """Bytes as a person writes them: ``512 MiB`` where that is exact."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= factor and count % factor == 0:
            return f"{count // factor} {unit}"
    return f"{count} bytes"
