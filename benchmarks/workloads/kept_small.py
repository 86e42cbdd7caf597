"""Two small arguments and a small return: the first of the kept calls."""

RECORDS = {"CALL": 1, "RETURN": 1}
ENTRIES = 1


def add(a: int, b: int) -> int:
    return a + b


def run(turns: int) -> None:
    for number in range(turns):
        add(number & 255, number >> 3 & 255)
