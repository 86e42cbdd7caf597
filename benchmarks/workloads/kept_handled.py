"""An exception that is raised and handled in the same call."""

RECORDS = {"CALL": 1, "RETURN": 1}
"""With ``exceptions = "all"`` a CAUGHT as well."""
ENTRIES = 1


def attempt(amount: int) -> int:
    try:
        raise ValueError(amount)
    except ValueError:
        return 0


def run(turns: int) -> None:
    for number in range(turns):
        attempt(number & 127)
