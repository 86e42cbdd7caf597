"""A payment gateway that fails as gateways do, and how the shop lives with it."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class PaymentError(Exception):
    """The money did not come."""


class CardDeclined(PaymentError):
    """The bank says no; trying again does not help."""


class GatewayTimeout(PaymentError):
    """No answer in time; trying again may help."""


@dataclass(frozen=True)
class Receipt:
    """The gateway's word that it has the money."""

    reference: str
    amount: Decimal
    attempts: int = 1


class Backoff:
    """Waits twice as long each time; in simulated seconds, which cost nothing."""

    def __init__(self, first_s: float = 0.1, factor: float = 2.0) -> None:
        self.first_s = first_s
        self.factor = factor
        self.waited_s = 0.0

    async def wait(self, attempt: int) -> None:
        """Wait before ``attempt``."""
        self.waited_s += self.first_s * self.factor**attempt
        # Only lets the others have their turn.
        await asyncio.sleep(0)


def with_retries(
    most: int, backoff: Backoff
) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Try a payment up to ``most`` times, where the gateway has timed out."""

    def decorate(pay: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        @functools.wraps(pay)
        async def attempt_all(*args: P.args, **kwargs: P.kwargs) -> T:
            for attempt in range(most):
                try:
                    return await pay(*args, **kwargs)
                except GatewayTimeout:
                    if attempt + 1 == most:
                        raise
                    await backoff.wait(attempt)
            raise AssertionError("most is at least 1")

        return attempt_all

    return decorate


class Gateway:
    """The other side of the wire."""

    def __init__(self, api_key: str, chance: random.Random) -> None:
        self._api_key = api_key
        self._chance = chance
        self._next = 1
        self.taken = Decimal(0)
        self.timeout_count = 0

    def sign(self, message: str, *, api_key: str) -> str:
        """A mark that the gateway accepts."""
        return f"{sum(map(ord, message + api_key)) % 9973:04d}"

    async def charge(self, card_token: str, amount: Decimal) -> Receipt:
        """Take ``amount``; one call in eight times out, some cards are never good."""
        self.sign(f"charge {amount}", api_key=self._api_key)
        dice = self._chance.random()
        if dice < 0.125:
            self.timeout_count += 1
            raise GatewayTimeout(f"no answer for {amount}")
        if card_token.endswith("13"):
            raise CardDeclined("the bank declined")
        self.taken += amount
        receipt = Receipt(reference=f"R{self._next:05d}", amount=amount)
        self._next += 1
        return receipt
