"""An asyncio pipeline: producers, workers, a queue, a task that fails and is retried."""

import asyncio
import contextlib


class Flaky(Exception):
    pass


async def numbers(count):
    for n in range(count):
        yield n
        await asyncio.sleep(0)


async def produce(queue, count):
    async for n in numbers(count):
        await queue.put(n)
    for _ in range(2):
        await queue.put(None)


async def transform(n, attempts):
    attempts[n] = attempts.get(n, 0) + 1
    await asyncio.sleep(0)
    if n % 5 == 0 and attempts[n] == 1:
        raise Flaky(n)
    return n * n


async def retry(make, times):
    for _ in range(times):
        try:
            return await make()
        except Flaky:
            await asyncio.sleep(0)
    return None


@contextlib.asynccontextmanager
async def working(name, log):
    log.append(f"{name} begins")
    try:
        yield
    finally:
        log.append(f"{name} ends")


async def work(name, queue, results, log):
    attempts = {}
    async with working(name, log):
        while (n := await queue.get()) is not None:
            results[n] = await retry(lambda n=n: transform(n, attempts), 3)


async def run():
    queue, results, log = asyncio.Queue(3), {}, []
    await asyncio.gather(
        produce(queue, 30),
        work("a", queue, results, log),
        work("b", queue, results, log),
    )
    return sorted(results.items()), sorted(log)


def main():
    return asyncio.run(run())
