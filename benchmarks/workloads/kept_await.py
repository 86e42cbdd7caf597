"""A chain of three coroutines whose innermost waits once, driven without a loop."""

from collections.abc import Generator

# Each of the four frames is called, yields, is resumed and returns.
RECORDS = {"CALL": 4, "YIELD": 4, "RESUME": 4, "RETURN": 4}
ENTRIES = 8


class Pause:
    """Waits for whoever drives the chain."""

    __slots__ = ()

    def __await__(self) -> Generator[int, None, int]:
        yield 1
        return 2


PAUSE = Pause()


async def inner(number: int) -> int:
    return number + await PAUSE


async def middle(number: int) -> int:
    return await inner(number)


async def outer(number: int) -> int:
    return await middle(number)


def run(turns: int) -> None:
    for number in range(turns):
        chain = outer(number & 127)
        chain.send(None)
        try:
            chain.send(None)
        except StopIteration:
            pass
