"""Fails where it adds up, for a reason that lies elsewhere: `kolo-c why` tells it."""

ROWS = ["1001;Ada;12,50", "1002;Grace;8,20", "1003;Linus;30,00"]


def read_order(row: str) -> dict[str, object]:
    number, customer, total = row.split(";")
    return {"number": int(number), "customer": customer, "total": float(total)}


def read_orders(rows: list[str]) -> list[dict[str, object]]:
    orders = []
    for row in rows:
        try:
            orders.append(read_order(row))
        except ValueError:
            continue  # a heading, surely
    return orders


def average(orders: list[dict[str, object]]) -> float:
    totals = [order["total"] for order in orders]
    return sum(totals) / len(totals)  # type: ignore[arg-type]


def main() -> None:
    print("average:", average(read_orders(ROWS)))


main()
