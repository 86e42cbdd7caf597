"""A str of 200 characters."""

RECORDS = {"CALL": 1, "RETURN": 1}
ENTRIES = 1

TEXT = ("a line of words that somebody may have written " * 5)[:200]


def measure(text: str) -> int:
    return len(text)


def run(turns: int) -> None:
    for _ in range(turns):
        measure(TEXT)
