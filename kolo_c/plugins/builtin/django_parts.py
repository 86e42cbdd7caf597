"""What Django does within a request or a command: templates, the cache, mail, and the
commands themselves. Signals are in django_signals.py, SQL in sql_django.py.

Threads: any. Owns: nothing. Fails: never; a handler that raises is counted by the core.
"""

from __future__ import annotations

import os

from kolo_c.plugins.emit import local
from kolo_c.plugins.secret import is_secret
from kolo_c.plugins.spec import Kind, Plugin
from kolo_c.scope import SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any

COMMAND = Kind("command", "COMMAND", "pink", "manage.py {name}")
TEMPLATE = Kind("template", "TEMPLATE", "purple", "{name}")
CACHE = Kind(
    "cache", "CACHE", "yellow",
    "{operation}[ {key}][ · hit: {hit}][ · found: {found}][ of {asked}]",
)  # fmt: skip
EMAIL = Kind("email", "EMAIL", "orange", "{subject}[ to {to}]")
_SESSIONS = "django.contrib.sessions."
_KEYS_MOST = 16
_ALIKE = (int, str, bool, bytes, float, tuple)
"""Of these one that is stored may be the same object as another."""
_ADDRESSES_MOST = 8


class CommandName(Plugin):
    """``manage.py NAME``: the process's trace is called so."""

    def start(self, frame: FrameType) -> None:
        """It was given on the command line."""
        session = SCOPE.session
        argv = local(frame, "argv")
        if session is None or not isinstance(argv, list) or len(argv) < 2:
            return
        found = session.traces.current()
        if found is not None and found[1] is session.traces.process:
            program = os.path.basename(str(argv[0]))
            if program == "__main__.py":
                program = "django"  # python -m django
            session.traces.rename(*found, f"{program} {argv[1]}")


class Command(Plugin):
    """A management command, also one that is called by code."""

    kind = COMMAND

    def start(self, frame: FrameType) -> Mapping[str, Any]:
        """Its name is that of its module."""
        return {"name": type(local(frame, "self")).__module__.rpartition(".")[2]}


class Template(Plugin):
    """A template is rendered, by itself or within another one: its name alone."""

    kind = TEMPLATE

    def start(self, frame: FrameType) -> Mapping[str, Any]:
        """One that was made from a text has no name."""
        name = vars(local(frame, "self")).get("name")
        return {
            "name": str.__str__(name) if isinstance(name, str) else "<text>",
            "engine": "django",
        }


class Cache(Plugin):
    """What is asked of the cache; never the values."""

    watch = tuple(
        f"django.core.cache.backends.*:*Cache.{operation}"
        for operation in (
            "get", "set", "add", "touch", "delete", "has_key", "incr", "decr",
            "get_many", "set_many", "delete_many", "clear",
        )
    )  # fmt: skip
    kind = CACHE

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None where one operation does its work by way of another."""
        cache = local(frame, "self")
        caller = frame.f_back
        if (
            caller is not None
            and caller.f_code.co_name in _OPERATIONS
            and local(caller, "self") is cache
        ):
            return None
        return {
            "operation": frame.f_code.co_name,
            "key": _key(frame),
            "backend": type(cache).__name__,
        }

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> Mapping[str, Any] | None:
        """Whether it was there, or how many of several."""
        if exception is not None:
            return None
        operation = started["operation"]
        if operation == "get":
            default = local(frame, "default")
            if value is not default or type(value) not in _ALIKE:
                return {"hit": value is not default}
            return None  # it may be the one that was stored
        if operation == "has_key":
            return {"hit": value is True}
        if operation == "get_many" and isinstance(value, dict):
            fields = {"found": len(value)}
            keys = local(frame, "keys")
            if type(keys) in (list, tuple, set, frozenset, dict):
                plain = all(type(key) is str for key in keys)
                fields["asked"] = len(set(keys)) if plain else len(keys)
            return fields
        return None


_OPERATIONS = frozenset(text.rpartition(".")[2] for text in Cache.watch)


def _key(frame: FrameType) -> Any:
    key = local(frame, "key")
    if key is not None:
        return shown_key(key)
    several = local(frame, "keys", local(frame, "data"))
    if isinstance(several, (list, tuple, dict, set)):
        return [shown_key(key) for key in list(several)[:_KEYS_MOST]]
    return None


def shown_key(key: object) -> object:
    """A key without what follows a secret name in it: ``session:ab12``."""
    if not isinstance(key, str):
        return key
    if _SESSIONS in key:
        before, _, _ = key.partition(_SESSIONS)
        return f"{before}{_SESSIONS}***"
    at = 0
    for end, sign in enumerate(key):
        if sign in ":/|=":
            if is_secret(key[at:end]):
                return f"{key[: end + 1]}***"
            at = end + 1
    return key


class Email(Plugin):
    """A mail is sent: to whom, and what it is about."""

    kind = EMAIL

    def start(self, frame: FrameType) -> Mapping[str, Any]:
        """Texts that are not translated yet stay so."""
        state = vars(local(frame, "self"))
        subject = state.get("subject")
        fields: dict[str, Any] = {
            "subject": subject if isinstance(subject, str) else "…",
            "from": state.get("from_email"),
        }
        for name in ("to", "cc", "bcc"):
            addresses = state.get(name)
            if isinstance(addresses, (list, tuple)) and addresses:
                shown = [str(one) for one in addresses[:_ADDRESSES_MOST]]
                more = len(addresses) - len(shown)
                fields[name] = ", ".join([*shown, *([f"{more} more"] if more else [])])
        attachments = state.get("attachments")
        if attachments:
            fields["attachments"] = len(attachments)
        return fields

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """How many were sent."""
        return {"sent": value}
