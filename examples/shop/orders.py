"""Orders and what becomes of them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from customers import Customer


class Status(enum.Enum):
    """The life of an order."""

    NEW = "new"
    PRICED = "priced"
    PAID = "paid"
    SENT = "sent"
    REFUSED = "refused"
    BROKEN = "broken"


ALLOWED = {
    Status.NEW: {Status.PRICED, Status.REFUSED, Status.BROKEN},
    Status.PRICED: {Status.PAID, Status.REFUSED},
    Status.PAID: {Status.SENT},
}


class WrongStatus(ValueError):
    """An order cannot go from one status to that other."""


@dataclass(frozen=True)
class Line:
    """So many of one product."""

    product_number: str
    count: int


@dataclass
class Quote:
    """What an order costs, and why."""

    net: Decimal
    tax: Decimal
    shipping: Decimal
    discounts: dict[str, Decimal] = field(default_factory=dict)

    @property
    def total(self) -> Decimal:
        """What is to be paid."""
        return self.net + self.tax + self.shipping


@dataclass
class Order:
    """One basket on its way."""

    number: int
    customer: Customer
    placed: datetime
    lines: list[Line]
    coupon: str | None = None
    status: Status = Status.NEW
    quote: Quote | None = None
    reason: str = ""

    def become(self, status: Status, reason: str = "") -> None:
        """Go on to ``status``, where that is allowed."""
        if status not in ALLOWED.get(self.status, set()):
            raise WrongStatus(f"{self.status.value} cannot become {status.value}")
        self.status = status
        self.reason = reason

    @property
    def total(self) -> Decimal:
        """What is to be paid; nothing before it was priced."""
        return self.quote.total if self.quote is not None else Decimal(0)
