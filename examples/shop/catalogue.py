"""What the shop sells: products in a tree of categories."""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal


class Tax(enum.Enum):
    """Rates of value added tax, in per cent."""

    FULL = 19
    REDUCED = 7
    NONE = 0


class UnknownProduct(LookupError):
    """There is no product with this number."""


@dataclass(frozen=True)
class Product:
    """Something with a price."""

    number: str
    name: str
    price: Decimal
    tax: Tax = Tax.FULL
    weight_grams: int = 100


class Category:
    """A shelf, with shelves below it."""

    def __init__(self, name: str, parent: Category | None = None) -> None:
        self.name = name
        self.parent = parent
        self.children: list[Category] = []
        self.products: list[Product] = []
        if parent is not None:
            parent.children.append(self)

    @property
    def path(self) -> str:
        """Names from the root down."""
        if self.parent is None:
            return self.name
        return f"{self.parent.path} / {self.name}"

    def walk(self) -> Iterator[Category]:
        """This category and all below it, depth first."""
        yield self
        for child in self.children:
            yield from child.walk()


class Catalogue:
    """Products by number, and the tree that they stand in."""

    def __init__(self, root: Category) -> None:
        self.root = root
        self._products = {
            product.number: product
            for category in root.walk()
            for product in category.products
        }

    def __len__(self) -> int:
        return len(self._products)

    def find(self, number: str) -> Product:
        """The product, or UnknownProduct."""
        try:
            return self._products[number]
        except KeyError:
            raise UnknownProduct(f"no product {number!r}") from None

    def search(self, *words: str, limit: int = 5) -> list[Product]:
        """Products whose name has all ``words``, cheapest first."""
        wanted = [word.lower() for word in words]
        found = [
            product
            for product in self._products.values()
            if all(word in product.name.lower() for word in wanted)
        ]
        return sorted(found, key=by_price)[:limit]

    def numbers(self) -> list[str]:
        """All numbers, in the order of the shelves."""
        return list(self._products)


def by_price(product: Product) -> tuple[Decimal, str]:
    """Order of a result list."""
    return product.price, product.number


SHELVES = {
    "Kitchen": ("kettle", "pan", "knife", "bowl", "sieve", "teapot"),
    "Books": ("atlas", "novel", "cookbook", "dictionary"),
    "Garden": ("rake", "spade", "lantern", "bench", "hose"),
    "Food": ("olives", "coffee", "honey", "rice", "tea"),
}
REDUCED = {"Books", "Food"}
QUALITIES = ("plain", "small", "large", "blue", "steel")


def build(chance: random.Random) -> Catalogue:
    """The shop's catalogue; the same for the same ``chance``."""
    root = Category("Shop")
    for shelf_number, (shelf, things) in enumerate(SHELVES.items(), start=1):
        category = Category(shelf, parent=root)
        tax = Tax.REDUCED if shelf in REDUCED else Tax.FULL
        for thing_number, thing in enumerate(things, start=1):
            below = Category(thing.title(), parent=category)
            for quality_number, quality in enumerate(QUALITIES, start=1):
                cents = chance.randrange(199, 9999, 50)
                below.products.append(
                    Product(
                        number=f"{shelf_number}{thing_number:02}-{quality_number}",
                        name=f"{thing}, {quality}",
                        price=Decimal(cents) / 100,
                        tax=tax,
                        weight_grams=chance.randrange(50, 4000, 50),
                    )
                )
    return Catalogue(root)
