"""Commands that redis-py sends, one by one or in a pipeline.

Of a command its name and its key are recorded, and further arguments where they are
small; nothing of those that log in, and no value under a secret name.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.plugins.emit import local
from kolo_c.plugins.secret import MASK, is_secret, mask_pairs
from kolo_c.plugins.spec import Kind, Plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any

REDIS = Kind("redis", "REDIS", "red", "{command}[ {key}]")
_SMALL = 64
"""Bytes of an argument."""
_ARGUMENTS_MOST = 16
_KEY_CHARACTERS = 256
_COMMANDS_MOST = 32
_WITHOUT_KEY = frozenset(
    "PING INFO EVAL EVALSHA SCRIPT CLIENT CONFIG DBSIZE FLUSHDB FLUSHALL SELECT TIME "
    "MULTI EXEC DISCARD UNWATCH SCAN SUBSCRIBE PSUBSCRIBE UNSUBSCRIBE WAIT".split()
)
_SECRET = frozenset("AUTH HELLO ACL CONFIG MIGRATE CLIENT".split())


class Redis(Plugin):
    """A command by itself, with or without ``asyncio``."""

    kind = REDIS

    def start(self, frame: FrameType) -> Mapping[str, Any]:
        """It is about to be sent."""
        return _command(local(frame, "args"))


class Pipeline(Plugin):
    """Several at once."""

    kind = REDIS

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None where there is nothing to send."""
        stack = vars(local(frame, "self")).get("command_stack")
        if not stack:
            return None
        told = [_command(_arguments(entry)) for entry in stack[:_COMMANDS_MOST]]
        return {
            "command": "PIPELINE",
            "key": None,
            "count": len(stack),
            "commands": [
                " ".join(filter(None, (at["command"], at.get("key")))) for at in told
            ],
        }


def _arguments(entry: Any) -> Any:
    return entry[0] if isinstance(entry, tuple) else getattr(entry, "args", ())


def _command(arguments: Any) -> dict[str, Any]:
    """Its fields."""
    words = [_text(word) for word in arguments[: _ARGUMENTS_MOST + 2]]
    command = words[0].upper()
    fields: dict[str, Any] = {"command": command}
    rest = words[1:]
    secret = command.partition(" ")[0] in _SECRET
    if rest and not secret and command.partition(" ")[0] not in _WITHOUT_KEY:
        fields["key"], secret = _key(rest.pop(0))
    if rest and not secret:
        fields["args"] = [
            MASK if at and is_secret(rest[at - 1]) else word
            for at, word in enumerate(rest[:_ARGUMENTS_MOST])
        ]
    if len(arguments) > len(words):
        fields["count"] = len(arguments) - 1
    return fields


def _key(key: str) -> tuple[str, bool]:
    """What is shown of a key, and whether it says that what is stored is secret."""
    key = key[:_KEY_CHARACTERS]
    at = key.lower().find("session")
    if at >= 0:  # its id is as good as a password
        return f"{key[: at + len('session')]}{MASK}", True
    shown = mask_pairs(key)
    return shown, shown != key or any(map(is_secret, key.replace("/", ":").split(":")))


def _text(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        if len(value) > _SMALL:
            return f"<{len(value)} bytes>"
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        short = str.__str__(value)
        return short if len(short) <= _SMALL else _long(short)
    if type(value) in (int, float):
        return str(value)
    return f"<{type(value).__name__}>"


def _long(text: str) -> str:
    return f"<{len(text)} characters>" if " " in text or "{" in text else text[:256]
