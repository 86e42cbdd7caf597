"""Why a process ended, as far as it could say so, or can be told. Twin of last_word.c.

What a process says at the last moment is the C core's alone: a handler that is Python's
would be seen by the program, and does not run in the middle of a crash. This one notes
of the system what its twin does, and reads what either left.

Threads: any. Owns: nothing. Fails: never: what cannot be known is not said.
"""

from __future__ import annotations

from os import O_CLOEXEC, O_RDONLY, fsencode, uname

from kolo_c.reference.system import close, open, read

SIGNAL, EXIT, EXEC = 1, 2, 3

UNKNOWN = "interrupted"
REPLACED = "exec"
DOWN = "system down"
MEMORY = "out of memory?"

SIGNALS = (
    "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTERM", "SIGINT", "SIGQUIT",
    "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGSYS",
)  # fmt: skip
BOOT_BYTES = 40
HOST_BYTES = 64
_BOOT_PATH = "/proc/sys/kernel/random/boot_id"
_VMSTAT_PATH = "/proc/vmstat"
_KILLS = b"\noom_kill "
_MOST_BYTES = 16384


def system() -> tuple[int, bytes, bytes]:
    """How many it has killed for want of memory, and 1; its start; its name."""
    host = fsencode(uname().nodename)
    return kills(), _read(_BOOT_PATH)[: BOOT_BYTES - 1], host[: HOST_BYTES - 1]


def kills() -> int:
    """How many processes the system has killed for want of memory, and 1.

    0: that is not known.
    """
    _, found, rest = _read(_VMSTAT_PATH).partition(_KILLS)
    number = rest.split(b"\n")[0].strip()
    return int(number) + 1 if found and number.isdigit() else 0


def tell(word: int, before: tuple[int, bytes, bytes]) -> str:
    """Why a dead process ended: by its last word and what ``system`` was to it."""
    what, number = word >> 32, word & 0xFFFFFFFF
    if what == SIGNAL:
        return _signal_name(number)
    if what == EXIT:
        return f"os._exit({number & 0xFF})"
    if what == EXEC:
        return REPLACED
    now = system()
    if not now[2] or now[2] != before[2] or not before[1] or not now[1]:
        return UNKNOWN
    if now[1] != before[1]:
        return DOWN
    return MEMORY if before[0] and now[0] > before[0] else UNKNOWN


def _signal_name(number: int) -> str:
    import signal  # noqa: PLC0415 - PyPy delivers signals in other places with it

    names = (name for name in SIGNALS if getattr(signal, name, None) == number)
    return next(names, UNKNOWN)


def _read(path: str) -> bytes:
    try:
        fd = open(path, O_RDONLY | O_CLOEXEC)
    except OSError:
        return b""
    try:
        return read(fd, _MOST_BYTES).rstrip(b"\n")
    except OSError:
        return b""
    finally:
        close(fd)
