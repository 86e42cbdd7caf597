"""A dict of 20 items."""

RECORDS = {"CALL": 1, "RETURN": 1}
ENTRIES = 1

ROW = {f"column_{number}": number * 3 for number in range(20)}


def count(row: dict[str, int]) -> int:
    return len(row)


def run(turns: int) -> None:
    for _ in range(turns):
        count(ROW)
