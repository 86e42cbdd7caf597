"""Processes that the program starts, with ``subprocess`` or ``asyncio``.

``subprocess.run`` and its like are one record, from the start of the process to its
end. Of a ``Popen`` by itself there is one when it starts, and one when the program
learns that it has ended.

Threads: any. Owns: nothing of the program's. Fails: never.
"""

from __future__ import annotations

import os
from _weakref import ref

from kolo_c.masking import DEFAULT_EXCEPTIONS, DEFAULT_WORDS, mask_options
from kolo_c.plain import plain_text
from kolo_c.plugins import emit
from kolo_c.plugins.emit import local
from kolo_c.plugins.secret import mask_pairs
from kolo_c.plugins.spec import Kind, Plugin
from kolo_c.scope import SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any

SUBPROCESS = Kind("subprocess", "PROCESS", "pink", "{args}[ → {status}]")
EXIT = Kind("subprocess-exit", "EXIT", "pink", "{args} → {status}")
_ARGUMENTS_MOST = 64
_CHARACTERS = 1000
_OPEN_MOST = 1000

_running: dict[int, tuple[Any, dict[str, Any]]] = {}
"""By the address of its Popen: a weak reference to it, and fields of its record."""


class Run(Plugin):
    """``run``, ``call``, ``check_call`` and ``check_output``: from start to end."""

    kind = SUBPROCESS

    def start(self, frame: FrameType) -> Mapping[str, Any]:
        """It is about to be started."""
        popen = local(frame, "popenargs") or ()
        named = local(frame, "kwargs") or {}
        given = popen[0] if popen else named.get("args")
        return _fields(given, named.get("cwd"), named.get("shell"))

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> Mapping[str, Any] | None:
        """It has ended; an exception may tell how."""
        if type(value) is int:
            return {"status": value}
        holder = exception if isinstance(exception, BaseException) else value
        status = _state(holder).get("returncode")
        return {"status": status} if type(status) is int else None


class Started(Plugin):
    """A ``Popen`` by itself."""

    kind = SUBPROCESS

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None where ``run`` or ``call`` makes it."""
        back = frame.f_back
        if (
            back is not None
            and back.f_code.co_filename == frame.f_code.co_filename
            and back.f_code.co_name in ("run", "call")
        ):
            return None
        fields = _fields(
            local(frame, "args"), local(frame, "cwd"), local(frame, "shell")
        )
        return {**fields, "_popen": local(frame, "self")}

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> Mapping[str, Any] | None:
        """It runs."""
        popen = started["_popen"]
        pid = _state(popen).get("pid")
        if exception is not None or type(pid) is not int:
            return None
        key = id(popen)
        if len(_running) < _OPEN_MOST:
            gone = ref(popen, lambda it: _forget(key, it))
            _running[key] = gone, {"args": started["args"], "pid": pid}
        return {"pid": pid}


class Ended(Plugin):
    """The program has learnt that it has ended."""

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> None:
        """Tell it, of one that was started by itself."""
        popen = local(frame, "self")
        if frame.f_code.co_name == "_process_exited":
            popen = _state(popen).get("_proc")
        found = _running.pop(id(popen), None)
        status = _state(popen).get("returncode")
        if found is not None and type(status) is int and SCOPE.session is not None:
            emit.point(EXIT, {**found[1], "status": status})


def _forget(key: int, gone: Any) -> None:
    if key in _running and _running[key][0] is gone:
        del _running[key]


def _fields(given: Any, cwd: Any, shell: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"args": _words(given)}
    if cwd is not None:
        fields["cwd"] = _word(cwd)
    if shell is True:
        fields["shell"] = True
    return fields


def _words(given: Any) -> str:
    """The command as a shell would have it, without the values of secret options."""
    if isinstance(given, (str, bytes, os.PathLike)):
        return mask_pairs(_word(given))
    try:
        words = [_word(word) for word in list(given)[:_ARGUMENTS_MOST]]
    except TypeError:
        return plain_text(given)
    session = SCOPE.session
    config = None if session is None else session.config
    masked = mask_options(
        words,
        (*DEFAULT_WORDS, *(() if config is None else config.mask_words)),
        (*DEFAULT_EXCEPTIONS, *(() if config is None else config.mask_exceptions)),
    )
    return " ".join(_quoted(mask_pairs(word)) for word in masked)


def _quoted(word: str) -> str:
    plain = word and all(sign.isalnum() or sign in "-_./=:@%+,*" for sign in word)
    return word if plain else "'" + word.replace("'", "'\"'\"'") + "'"


def _word(word: Any) -> str:
    if isinstance(word, bytes):
        return bytes.decode(word[:_CHARACTERS], "utf-8", "backslashreplace")
    return plain_text(word)


def _state(thing: Any) -> dict[str, Any]:
    try:
        found: dict[str, Any] = vars(thing)
    except TypeError:
        return {}
    return found
