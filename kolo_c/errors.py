"""What can go wrong for a person at the keyboard: one class per kind, and what to do.

A ``kolo-c`` command raises these; its main function prints ``kolo-c: message`` and the
hint, and exits with 1. Code that runs inside a traced program never lets one out.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from pathlib import Path
    from typing import ClassVar


def harmless(text: str) -> str:
    """``text`` with everything that could move a cursor or hide something escaped."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


class KoloError(Exception):
    """An error with a message for a person, a hint what to do, and a stable slug.

    The slug names the error for scripts and for the documentation; it never changes.
    """

    slug: ClassVar[str] = "error"

    def __init__(self, message: str, hint: str = "", *, slug: str = "") -> None:
        super().__init__(message)
        # Names of files, traces and threads stand in it, and may hold anything.
        self.message = harmless(message)
        self.hint = harmless(hint)
        self.name = slug or type(self).slug

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class StoreError(KoloError):
    """A file of the store cannot be used: not ours, damaged, locked, too new."""

    slug = "store"

    def __init__(
        self,
        path: str | os.PathLike[str],
        message: str,
        hint: str = "",
        *,
        slug: str = "",
    ) -> None:
        super().__init__(f"{path}: {message}", hint, slug=slug)
        self._path = path

    @property
    def path(self) -> Path:
        """The file."""
        from pathlib import Path  # noqa: PLC0415 - 2.5 ms, see kolo_c.config.plain

        return Path(self._path)


class StoreNotFound(KoloError):
    """There is no ``.kolo_c`` here or above."""

    slug = "store-not-found"


class TraceNotFound(KoloError):
    """No trace, or no node, has the name that was asked for; or more than one has."""

    slug = "trace-not-found"


class ConfigError(KoloError):
    """A setting is unknown or has the wrong type."""

    slug = "config"


class RunError(KoloError):
    """The program that was to be recorded cannot be started."""

    slug = "run"


class TracerError(KoloError):
    """The tracer cannot be attached: no core, another profiler, a wrong hook."""

    slug = "tracer"


class PluginError(KoloError):
    """A plugin is none, or cannot be imported."""

    slug = "plugin"


def described(error: BaseException) -> str:
    """Its type and what it says, in one line."""
    return f"{type(error).__name__}: {error}"


def own_error(error: Exception) -> KoloError:
    """For an error that is nobody's but ours."""
    if isinstance(error, KoloError):
        return error
    return TracerError(f"the recorder: {described(error)}")
