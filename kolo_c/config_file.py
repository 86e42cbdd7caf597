"""Changes a list of the settings in the file that has it, and leaves the rest alone.

Comments, order and layout stay as they are. What comes out is read again before it is
written: if it says anything else than was asked for, nothing is written.

Threads: one at a time. Owns: nothing. Fails: ConfigError, with the file as it was.
"""

from __future__ import annotations

import os
import sys

from kolo_c.config import config_folder
from kolo_c.errors import ConfigError
from kolo_c.store.locate import STORE_NAME
from kolo_c.store.private import FILE_MODE, make_folder, refuse_link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tomlkit import TOMLDocument
    from tomlkit.items import Array

TABLE = ("tool", "kolo_c")
_MARK = "\ufeff"  # some editors begin a file with it; TOML does not know it
_BY_HAND = "Correct it by hand; docs/reference/config.md has every setting."


class ConfigFile:
    """A file of settings, as it was read."""

    def __init__(self, path: str, table: tuple[str, ...]) -> None:
        """``table``: where in it our settings are; empty: it has nothing else."""
        self.path = path
        self.table = table
        text, self.exists = _read(path)
        self.text = text.removeprefix(_MARK)
        self._mark = text[: len(text) - len(self.text)]
        self.settings = self._settings(_parse(self.text, path))

    def items(self, key: str) -> list[str]:
        """The list of texts that it has as ``key``; empty where it has none."""
        value = self.settings.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise ConfigError(
                f"{self.path}: {key} must be a list of texts, not {value!r}", _BY_HAND
            )
        return value

    def with_item(self, key: str, item: str) -> str:
        """The text with ``item`` at the end of the list ``key``."""
        expected = [*self.items(key), item]
        document = self._document()
        settings = self._open_table(document)
        if key in settings:
            _append(settings[key], item)
        else:
            settings[key] = [item]
        return self._checked(document.as_string(), key, expected)

    def without_item(self, key: str, item: str) -> str:
        """The text with ``item`` taken out of the list ``key``."""
        kept = [value for value in self.items(key) if value != item]
        document = self._document()
        array: Array = self._open_table(document)[key]
        for index in reversed(range(len(array))):
            if array[index] == item:
                del array[index]
        return self._checked(document.as_string(), key, kept)

    def write(self, text: str) -> None:
        """Replace the file, if it is still as it was read."""
        path = os.path.realpath(self.path)
        try:
            if _is_in_store(self.path):
                refuse_link(self.path)
            if not self.exists:
                make_folder(os.path.dirname(path))
            elif not os.access(path, os.W_OK):
                raise PermissionError(13, "it is read-only")
            before = self._mark + self.text if self.exists else None
            _replace(path, self._mark + text, before)
        except OSError as error:
            raise ConfigError(
                f"{self.path}: cannot be written: {error.strerror or error}",
                "Nothing was changed. Correct its permissions, or add the line "
                "yourself: --dry-run shows it.",
            ) from error

    def _settings(self, data: dict[str, Any]) -> dict[str, Any]:
        found: Any = data
        for name in self.table:
            found = found.get(name, {})
            if not isinstance(found, dict):
                raise ConfigError(f"{self.path}: {name} must be a table", _BY_HAND)
        settings: dict[str, Any] = found
        return settings

    def _document(self) -> TOMLDocument:
        import tomlkit  # noqa: PLC0415 - only where a file is changed
        from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415

        try:
            return tomlkit.parse(self.text)
        except (TOMLKitError, RecursionError) as error:
            raise ConfigError(f"{self.path}: is not TOML: {error}", _BY_HAND) from error

    def _open_table(self, document: TOMLDocument) -> Any:
        import tomlkit  # noqa: PLC0415 - only where a file is changed

        found: Any = document
        for index, name in enumerate(self.table):
            if name not in found:
                last = index == len(self.table) - 1
                found[name] = tomlkit.table(is_super_table=not last)
            found = found[name]
        return found

    def _checked(self, text: str, key: str, expected: list[str]) -> str:
        """``text``, if it is the old one but for ``key``."""
        if "\r\n" in self.text and "\n" not in self.text.replace("\r\n", ""):
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        before = _parse(self.text, self.path)
        try:
            after = _load(text)
            settings = self._settings(after)
            same = settings.get(key) == expected
            settings.pop(key, None)
            self._settings(before).pop(key, None)
            if same and _without_empty(after) == _without_empty(before):
                return text
        except ValueError:
            pass
        raise ConfigError(
            f"{self.path}: {key} cannot be changed without changing more",
            f"Nothing was changed. Write it yourself: {key} = {expected}",
        )


def file_for(
    root: str, environ: Mapping[str, str], key: str, *, shared: bool = False
) -> ConfigFile:
    """The file where ``key`` is to be changed: the one whose list is in force, else
    pyproject.toml if it has settings (or ``shared`` asks for it), else the store's."""
    pyproject = ConfigFile(os.path.join(root, "pyproject.toml"), TABLE)
    own = ConfigFile(os.path.join(config_folder(root, environ), "config.toml"), ())
    if shared:
        if key in own.settings:
            raise ConfigError(
                f"{own.path} has {key}, which hides that of {pyproject.path}",
                "Move its lines to pyproject.toml first, or leave out --pyproject.",
            )
        return pyproject
    if key in own.settings:
        return own
    return pyproject if pyproject.settings else own


def _read(path: str) -> tuple[str, bool]:
    try:
        # As it is: line ends belong to the layout.
        with open(path, encoding="utf-8", newline="") as file:
            return file.read(), True
    except (FileNotFoundError, NotADirectoryError):
        return "", False
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}", _BY_HAND) from error


def _parse(text: str, path: str) -> dict[str, Any]:
    try:
        return _load(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}", _BY_HAND) from error


def _load(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - as in config.py
    else:
        import tomli as tomllib  # noqa: PLC0415
    table: dict[str, Any] = tomllib.loads(text)
    return table


def _append(array: Any, item: str) -> None:
    """Put ``item`` at the end of a list, on a line of its own where the others are."""
    text = array.as_string()
    if "\n" not in text:
        array.append(item)
        return
    lines = [line for line in text.splitlines()[1:] if line.strip(" \t],")]
    first = lines[0] if lines else "    "
    indent = first[: len(first) - len(first.lstrip())] or "    "
    array.add_line(item, indent=indent)


def _is_in_store(path: str) -> bool:
    return os.path.basename(os.path.dirname(path)) == STORE_NAME


def _without_empty(data: Any) -> Any:
    """``data`` without tables that have nothing in them."""
    if not isinstance(data, dict):
        return data
    kept = {key: _without_empty(value) for key, value in data.items()}
    return {key: value for key, value in kept.items() if value != {}}


def _replace(path: str, text: str, before: str | None) -> None:
    """Put ``text`` in the place of the file, all of it or nothing."""
    if before is not None and _read(path) != (before, True):
        raise OSError(0, "it was changed at this moment; try again")
    temporary = f"{path}.{os.getpid()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, FILE_MODE if _is_in_store(path) else 0o666)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            if before is not None:
                os.fchmod(file.fileno(), os.stat(path).st_mode & 0o7777)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
