"""What a basket costs. To have it recorded: kolo-c run examples/basket.py."""

from decimal import Decimal

PRICES = {"tea": Decimal("4.50"), "bread": Decimal("3.20")}


def cost(name: str, count: int) -> Decimal:
    if name not in PRICES:
        raise LookupError(f"no {name} today")
    return PRICES[name] * count


def total(basket: dict[str, int], *, api_key: str) -> Decimal:
    amount = Decimal(0)
    for name, count in basket.items():
        amount += cost(name, count)
    return amount


def apologise(error: Exception) -> None:
    print("sorry:", error)


def main() -> None:
    print(total({"tea": 2, "bread": 1}, api_key="live-0123456789"))
    try:
        total({"tea": 1, "milk": 2}, api_key="live-0123456789")
    except LookupError as error:
        apologise(error)


main()
