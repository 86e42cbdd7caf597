"""A list of 10,000 items, of which the budget keeps the first."""

RECORDS = {"CALL": 1, "RETURN": 1}
ENTRIES = 1

NUMBERS = list(range(10_000))


def count(numbers: list[int]) -> int:
    return len(numbers)


def run(turns: int) -> None:
    for _ in range(turns):
        count(NUMBERS)
