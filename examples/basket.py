"""What a basket costs. To have it recorded: kolo-c run examples/basket.py."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass
class Item:
    name: str
    price: Decimal
    count: int = 1


def total(items: list[Item], *, api_key: str) -> Decimal:
    return sum((cost(item) for item in items), Decimal(0))


def cost(item: Item) -> Decimal:
    if item.count < 1:
        raise ValueError(f"no {item.name} in the basket")
    return item.price * item.count


def main() -> None:
    tea = Item("tea", Decimal("4.50"), count=2)
    print(total([tea, Item("bread", Decimal("3.20"))], api_key="live-0123456789"))
    try:
        total([tea, Item("milk", Decimal("1.10"), count=0)], api_key="live-0123456789")
    except ValueError as error:
        print("not sold:", error)


main()
