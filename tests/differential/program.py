"""Does a little of everything: a fault in a core shows in what is recorded of it.

The same each time. It is run by test_faults.py, not imported.
"""

from __future__ import annotations

import asyncio
import os
import threading

import kolo_c


class Basket:
    def __init__(self, owner, items):
        self.owner = owner
        self.items = items

    def total(self, factor, shift):
        return sum(self.items) * factor - shift

    def check(self, limit):
        kept = [item for item in self.items if item > limit]
        raise ValueError("too many", kept)


def swap(first, second):
    return second, first


def values(*given, **named):
    return given


def login(user, password, token="none"):
    return user


def deep(level, text):
    note = [level]
    if level == 0:
        return text
    return deep(level - 1, text) + len(note)


def count_up(limit):
    got = None
    for number in range(limit):
        try:
            got = yield number if got is None else got
        except LookupError as error:
            got = repr(error)


def outer(limit):
    result = yield from count_up(limit)
    return result


def translate(problem):
    try:
        return problem.check(2)
    except ValueError as error:
        raise KeyError("translated") from error


def survive(problem):
    try:
        translate(problem)
    except KeyError as error:
        return look(error)


def look(error):
    return type(error).__name__


async def step(number):
    await asyncio.sleep(0)
    return number


async def stream(limit):
    for number in range(limit):
        await asyncio.sleep(0)
        yield number


async def tasks():
    found = [number async for number in stream(3)]
    made = [asyncio.create_task(step(number)) for number in range(3)]
    return found, [await task for task in made]


def take(generator):
    return next(generator)


def main():
    basket = Basket("ann", [1, 2, 3, 4])
    other = Basket("bob", [])
    basket.total(3, 4)
    swap(basket, other)
    swap(basket, basket)
    values(None, True, 1, 1.0, -(1 << 70), 1 << 40, b"bytes", "text", {"a": 1, "b": 2})
    values({1, 2, 3}, frozenset({4}), (1, (2,)), [basket, other], range(3), 1j, ...)
    values("x" * 5000, b"y" * 5000, list(range(100)), {n: str(n) for n in range(60)})
    values([[[[[[1]]]]]], "h\N{LATIN SMALL LETTER E WITH ACUTE}" * 2000, int, swap, os)
    values(named=basket, password="correct horse")
    login("ann", "hunter2hunter2", token="abcdefghijkl")
    login("bob", "correct horse")
    values("correct horse", {"api_key": "0123456789abcdef"})
    deep(4, 7)
    generator = outer(4)
    next(generator)
    generator.send("sent")
    generator.throw(LookupError("thrown"))
    thread = threading.Thread(target=take, args=(generator,), name="taker")
    thread.start()
    thread.join()
    generator.close()
    list(count_up(3))
    survive(basket)
    survive(other)
    asyncio.run(tasks())
    with kolo_c.trace("region"):
        deep(1, 1)
        kolo_c.note("noted", number=5, items=[1, 2])
    try:
        with kolo_c.trace("failing"):
            raise OSError("in it")
    except OSError:
        deep(1, 2)
    with kolo_c.trace("boundary", boundary=True):
        deep(2, 3)
    for _ in range(40):
        deep(6, 8)
    long = ["long" * 200, *range(30)]
    for _ in range(20):
        deep_with(12, long)


def deep_with(level, items):
    return deep_with(level - 1, items) if level else items


if __name__ == "__main__":
    main()
