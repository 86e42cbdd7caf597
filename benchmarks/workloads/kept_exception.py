"""An exception that leaves a frame with locals and is handled by the caller."""

RECORDS = {"CALL": 2, "RAISE": 1, "RETURN": 1}
ENTRIES = 2


def check(amount: int, limit: int) -> int:
    over = amount - limit
    label = "too much"
    parts = [over, amount]
    if over > 0:
        raise ValueError(label, over)
    return parts[0]


def attempt(amount: int) -> int:
    try:
        return check(amount, -1)
    except ValueError:
        return 0


def run(turns: int) -> None:
    for number in range(turns):
        attempt(number & 127)
