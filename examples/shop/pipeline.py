"""The way of an order: priced, reserved, paid, sent; several at a time."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from inventory import OutOfStock, Stock
from orders import Order, Status
from payments import Backoff, Gateway, PaymentError, Receipt, with_retries
from pricing import PriceList

log = logging.getLogger("shop.pipeline")


@dataclass
class Failure:
    """An order that broke, with what a person needs to mend it."""

    order_number: int
    error: str
    where: list[str] = field(default_factory=list)


class Pipeline:
    """Some workers, one queue."""

    def __init__(
        self, prices: PriceList, stock: Stock, gateway: Gateway, *, workers: int = 4
    ) -> None:
        self.prices = prices
        self.stock = stock
        self.gateway = gateway
        self.worker_count = workers
        self.backoff = Backoff()
        self.receipts: dict[int, Receipt] = {}
        self.failures: list[Failure] = []
        self._pay = with_retries(3, self.backoff)(gateway.charge)
        self._queue: asyncio.Queue[Order | None] = asyncio.Queue(maxsize=8)
        self._done: asyncio.Queue[Order | None] = asyncio.Queue()

    async def run(self, orders: list[Order]) -> dict[Status, int]:
        """Put all orders through; how many ended how."""
        workers = [
            asyncio.create_task(self.work(), name=f"worker-{number}")
            for number in range(1, self.worker_count + 1)
        ]
        feeder = asyncio.create_task(self.feed(orders), name="feeder")
        counts: dict[Status, int] = {}
        async for order in self.events(len(orders)):
            counts[order.status] = counts.get(order.status, 0) + 1
        await asyncio.gather(feeder, *workers)
        return counts

    async def feed(self, orders: list[Order]) -> None:
        """All orders into the queue, then one end mark for each worker."""
        for order in orders:
            await self._queue.put(order)
        for _ in range(self.worker_count):
            await self._queue.put(None)

    async def events(self, expected: int) -> AsyncIterator[Order]:
        """Orders as they are done with."""
        for _ in range(expected):
            order = await self._done.get()
            if order is None:
                return
            yield order

    async def work(self) -> None:
        """Take orders until the end mark; one that breaks does not stop the others."""
        while (order := await self._queue.get()) is not None:
            try:
                await self.process(order)
            except Exception as error:
                order.become(Status.BROKEN, str(error))
                self.failures.append(summary(order, error))
                log.warning("order %d is broken: %s", order.number, error)
            await self._done.put(order)

    async def process(self, order: Order) -> None:
        """One order, from new to sent or refused."""
        order.quote = self.prices.quote(order)
        order.become(Status.PRICED)
        try:
            with self.stock.reserved(order.lines):
                await self.pay(order)
        except (OutOfStock, PaymentError) as error:
            order.become(Status.REFUSED, str(error))
            return
        await asyncio.sleep(0)
        order.become(Status.SENT)

    async def pay(self, order: Order) -> None:
        """Charge the customer's card and keep the receipt."""
        receipt = await self._pay(order.customer.card_token, order.total)
        self.receipts[order.number] = receipt
        order.become(Status.PAID)


def summary(order: Order, error: Exception) -> Failure:
    """What to tell about ``error``."""
    frames = traceback.extract_tb(error.__traceback__)
    return Failure(
        order_number=order.number,
        error=f"{type(error).__name__}: {error}",
        where=[frame.name for frame in frames],
    )
