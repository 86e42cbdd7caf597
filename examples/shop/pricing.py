"""What a basket costs: discounts, tax, shipping; all in Decimal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import ClassVar

from catalogue import Catalogue, Product
from orders import Line, Order, Quote

CENT = Decimal("0.01")


def rounded(amount: Decimal) -> Decimal:
    """To whole cents, as merchants do."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


class Discount(ABC):
    """A reason to pay less."""

    name: str

    @abstractmethod
    def amount(self, order: Order, net: Decimal) -> Decimal:
        """What comes off ``net``; nothing where it does not apply."""


class Loyalty(Discount):
    """One per cent a year."""

    name = "loyalty"

    def amount(self, order: Order, net: Decimal) -> Decimal:
        return net * order.customer.loyal_years / 100


class Quantity(Discount):
    """Five per cent for ten pieces or more."""

    name = "quantity"

    def amount(self, order: Order, net: Decimal) -> Decimal:
        pieces = sum(line.count for line in order.lines)
        return net * 5 / 100 if pieces >= 10 else Decimal(0)


class Coupon(Discount):
    """A word that is worth something."""

    name = "coupon"
    worth: ClassVar = {"SPRING": Decimal(5), "SORRY": Decimal(10)}

    def amount(self, order: Order, net: Decimal) -> Decimal:
        return min(net, self.worth.get(order.coupon or "", Decimal(0)))


def shipping_by_weight(steps: Iterable[tuple[int, str]]) -> Callable[[int], Decimal]:
    """A tariff from ``(up to grams, price)``; the last price holds above."""
    tariff = [(grams, Decimal(price)) for grams, price in steps]

    def price(weight_grams: int) -> Decimal:
        for limit, amount in tariff:
            if weight_grams <= limit:
                return amount
        return tariff[-1][1]

    return price


class PriceList:
    """Turns orders into quotes."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.discounts: list[Discount] = [Loyalty(), Quantity(), Coupon()]
        self.shipping = shipping_by_weight(
            [(1000, "2.90"), (5000, "4.90"), (20000, "9.90")]
        )

    def quote(self, order: Order) -> Quote:
        """Price every line, then the whole. UnknownProduct where one is not sold."""
        products = list(map(self.resolve, order.lines))
        net = tax = Decimal(0)
        weight = 0
        for line, product in zip(order.lines, products, strict=True):
            amount, rate = self.line_amount(product, line.count)
            net += amount
            tax += amount * rate / 100
            weight += product.weight_grams * line.count
        off = {each.name: rounded(each.amount(order, net)) for each in self.discounts}
        off = {name: amount for name, amount in off.items() if amount}
        left = max(net - sum(off.values()), Decimal(0))
        share = left / net if net else Decimal(0)
        return Quote(
            net=rounded(left),
            tax=rounded(tax * share),
            shipping=self.shipping(weight),
            discounts=off,
        )

    def resolve(self, line: Line) -> Product:
        """The product of a line."""
        return self.catalogue.find(line.product_number)

    def line_amount(self, product: Product, count: int) -> tuple[Decimal, int]:
        """Net amount of a line, and its rate of tax."""
        return product.price * count, product.tax.value
