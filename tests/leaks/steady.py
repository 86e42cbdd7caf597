"""Record over and over, and print what the process holds after each round.

    python tests/leaks/steady.py [rounds]

One line a round: reference total (0 where the build does not count), resident KiB, open
files. test_leaks.py says what must hold of them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys
import tempfile
import threading
import warnings

import kolo_c

# Pages that are not given back would look like a leak in every round but the last.
_PAGE_KIB = resource.getpagesize() // 1024


class Box:
    """An object with fields, an exception's home, and a method."""

    def __init__(self, n: int) -> None:
        self.n, self.items = n, [n, {"k": (n, "text")}]

    def grow(self, by: int, *rest: object, **more: object) -> Box:
        def inner() -> int:
            return self.n + by

        self.n = inner()
        return self


def _forget_types() -> None:
    """The interpreter's type cache holds names: it fills for hundreds of rounds."""
    getattr(sys, "_clear_type_cache", lambda: None)()


def fails(n: int) -> int:
    local = [n]
    raise ValueError("n", n, local)


def generator(n: int):  # type: ignore[no-untyped-def]
    for i in range(n):
        got = yield i
        if got:
            return got
    return None


async def chain(n: int) -> int:
    await asyncio.sleep(0)
    return await chain(n - 1) if n else 0


def leaf(n: int) -> int:
    return n


def work(n: int) -> None:
    """One of everything that makes a record."""
    box = Box(n)
    box.grow(1, box, k=box)
    try:
        fails(n)
    except ValueError:
        leaf(n)
    list(generator(3))
    abandoned = generator(3)
    next(abandoned)
    thrown = generator(3)
    next(thrown)
    try:
        thrown.throw(KeyError("k"))
    except KeyError:
        leaf(n)
    asyncio.run(chain(3))
    thread = threading.Thread(target=leaf, args=(n,), name="fixed name")
    thread.start()
    thread.join()
    names: dict[str, object] = {}
    exec(compile("def made(a): return [a]", __file__, "exec"), names)
    names["made"](n)  # type: ignore[operator]
    for i in range(200):
        leaf(i)


class Watched(kolo_c.Plugin):
    """Makes a record of each call, with something of its own."""

    watch = ("*:watched", "*:watched_generator", "*:watched_coroutine")
    kind = kolo_c.Kind("watched", "WATCHED", "pink", "{n}[ → {result}]")

    def start(self, frame):  # type: ignore[no-untyped-def]
        return {"n": frame.f_locals["n"], "_box": Box(1)}

    def finish(self, frame, value, exception, started):  # type: ignore[no-untyped-def]
        return {"result": value, "failed": exception}


class Opens(kolo_c.Plugin):
    """Opens a trace for each call."""

    watch = "*:opens"
    kind = kolo_c.Kind("opens", "OPENS", "blue", "opens {n}")
    boundary = True
    attributes = ("n",)

    def start(self, frame):  # type: ignore[no-untyped-def]
        return {"n": frame.f_locals["n"]}


class Raises(kolo_c.Plugin):
    """Is broken."""

    watch = "*:watched"

    def start(self, frame):  # type: ignore[no-untyped-def]
        raise ValueError(frame)


def watched(n: int) -> int:
    if n % 2:
        raise ValueError(n)
    return n


def watched_generator(n: int):  # type: ignore[no-untyped-def]
    yield n
    yield Box(n)


async def watched_coroutine(n: int) -> int:
    await asyncio.sleep(0)
    return n


def opens(n: int) -> None:
    watched(0)
    asyncio.run(watched_coroutine(n))
    thread = threading.Thread(target=leaf, args=(n,), name="fixed name")
    thread.start()
    thread.join()


def plug(n: int) -> None:
    """What plugins see."""
    for i in range(8):
        try:
            watched(i)
        except ValueError:
            leaf(i)
    list(watched_generator(n))
    next(watched_generator(n))
    opens(n)


async def paused(n: int) -> int:
    with kolo_c.pause():
        await asyncio.sleep(0)
        leaf(n)
    return leaf(n)


def say(n: int) -> None:
    """One of everything that the program may say of its recording."""
    now = kolo_c.current()
    now.name = f"steady {n}"
    assert now.set(n=n, text="x" * 50, password="secret words", box=Box(n))
    assert kolo_c.note("a note", n=n, box=Box(n))
    with kolo_c.pause():
        leaf(n)
    asyncio.run(paused(n))
    made: dict[str, object] = {}
    exec(compile("def made(a): return [a]", __file__, "exec"), made)
    made["made"](n)  # type: ignore[operator]
    kolo_c.skip(made["made"])(n)  # type: ignore[operator, type-var]
    with kolo_c.open() as store:
        assert store.latest().calls("leaf").first() is not None


def resident_kib() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * _PAGE_KIB
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


def clear_caches() -> None:
    """Empty what the interpreter caches of types."""
    clear = getattr(sys, "_clear_internal_caches", None)
    (clear or sys._clear_type_cache)()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    warnings.simplefilter("ignore")
    total = getattr(sys, "gettotalrefcount", lambda: 0)
    for plugin in (Watched, Opens, Raises):
        kolo_c.plugin(plugin)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KOLO_C_PATH"] = folder
        for _ in range(rounds):
            with kolo_c.trace("steady", locals="all", free_disk_min_bytes=0):
                work(1)
                plug(1)
                say(1)
            gc.collect()
            _forget_types()
            print(total(), resident_kib(), open_files(), flush=True)


if __name__ == "__main__":
    main()
