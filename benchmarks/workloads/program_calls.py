"""A program of kept calls and nothing else: ``program_calls.py COUNT [READY]``.

When ``READY`` is given, the time of the last call goes to that file.
"""

import sys
import time


def add(a: int, b: int) -> int:
    return a + b


def main(count: int) -> None:
    for number in range(count):
        add(number & 255, number >> 3 & 255)


main(int(sys.argv[1]))
if len(sys.argv) > 2:
    with open(sys.argv[2], "w", encoding="ascii") as file:
        file.write(str(time.monotonic_ns()))
