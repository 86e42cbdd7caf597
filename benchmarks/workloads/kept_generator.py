"""A generator's resume and yield, 100 to a generator."""

from collections.abc import Iterator

PER_CALL = 100
# A turn is one generator: its call, 100 yields, 100 resumes, its return.
RECORDS = {"CALL": 1, "YIELD": PER_CALL, "RESUME": PER_CALL, "RETURN": 1}
ENTRIES = PER_CALL + 1


def count(most: int) -> Iterator[int]:
    number = 0
    while number < most:
        yield number & 127
        number += 1


def run(turns: int) -> None:
    for _ in range(turns):
        for _ in count(PER_CALL):
            pass
