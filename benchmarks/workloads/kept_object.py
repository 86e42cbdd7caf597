"""An object with ten fields as an argument: its fields are written."""

from benchmarks.workloads.kept_method import Order

RECORDS = {"CALL": 1, "RETURN": 1}
ENTRIES = 1

ORDER = Order(7)


def look(order: Order) -> int:
    return order.number


def run(turns: int) -> None:
    for _ in range(turns):
        look(ORDER)
