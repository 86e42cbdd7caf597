"""Fails where it adds up, for a reason that lies elsewhere: `kolo-c why` tells it."""

Order = dict[str, str | float]
ROWS = ["1001;Ada;12,50", "1002;Grace;8,20", "1003;Linus;30,00"]


def read_order(row: str) -> Order:
    number, customer, total = row.split(";")
    return {"number": int(number), "customer": customer, "total": float(total)}


def read_orders(rows: list[str]) -> list[Order]:
    orders = []
    for row in rows:
        try:
            orders.append(read_order(row))
        except ValueError:
            continue  # a heading, surely
    return orders


def average(orders: list[Order]) -> float:
    totals = [float(order["total"]) for order in orders]
    return sum(totals) / len(totals)


def main() -> None:
    print("average:", average(read_orders(ROWS)))


main()
