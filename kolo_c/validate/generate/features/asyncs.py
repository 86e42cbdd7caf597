"""Coroutines: tasks that interleave, async generators, and no event loop at all.

Who runs next is decided by the loop's queue alone, never by time.

Threads: one at a time. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.validate.generate.features.part import part
from kolo_c.validate.generate.functions import function
from kolo_c.validate.generate.signature import arguments
from kolo_c.validate.generate.text import fill
from kolo_c.validate.generate.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.validate.generate.draft import Draft


def _coroutine_calls(draft: Draft, budget: int, most: int) -> list[str]:
    """Calls of coroutines of the pool, each of which gets to its end."""
    calls = []
    for _ in range(draft.choices.between(1, most)):
        callee = draft.callable("coroutine", budget // most)
        if callee is None:
            callee = function(draft, "coroutine", 40)
        calls.append(f"{callee.name}({arguments(draft, callee.signature, [])})")
    return calls


@part()
def tasks(draft: Draft, budget: int) -> list[str]:
    """Tasks that interleave: sleeps, events, queues, gather, cancellation."""
    draft.need("asyncio")
    name = draft.choices.pick(("worker", "task"))
    draft.define(
        fill(
            """
            async def turns(name, count, log):
                for turn in range(count):
                    log.append((name, turn))
                    await asyncio.sleep(0)
                return name


            async def waits_for(event, log, password="event-secret"):
                await event.wait()
                log.append("event")
                return asyncio.current_task().get_name()[:4]


            async def produce(queue, count):
                for n in range(count):
                    await queue.put(n)
                await queue.put(None)


            async def consume(queue, log):
                while (item := await queue.get()) is not None:
                    log.append(item)
                return len(log)


            async def fails(log, *, after):
                try:
                    for _ in range(after):
                        await asyncio.sleep(0)
                    raise $error
                finally:
                    log.append("failed")


            async def cancelled(log):
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    log.append("cancelled")
                    await asyncio.sleep(0)
                    raise
                finally:
                    log.append("cleaned")


            async def locked(lock, name, log):
                async with lock:
                    log.append(name)
                    await asyncio.sleep(0)
                    log.append(name)


            async def run_tasks():
                log, results = [], []
                await gather_some(log, results)
                $more
                return log, results


            async def gather_some(log, results):
                event = asyncio.Event()
                waiting = asyncio.create_task(waits_for(event, log), name="$name")
                turn_a, turn_b = turns("a", $a, log), turns("b", $b, log)
                results += await asyncio.gather(turn_a, turn_b)
                event.set()
                results.append(await waiting)


            async def queue_some(log, results):
                queue = asyncio.Queue($size)
                results += await asyncio.gather(produce(queue, 3), consume(queue, log))


            async def fail_some(log, results):
                results += await asyncio.gather(
                    fails(log, after=$after), turns("c", 2, log), return_exceptions=True
                )


            async def cancel_some(log, results):
                task = asyncio.create_task(cancelled(log), name="to cancel")
                unstarted = asyncio.create_task(turns("never", 1, log))
                unstarted.cancel()
                await asyncio.sleep(0)
                task.cancel("why")
                try:
                    await task
                except asyncio.CancelledError:
                    results.append((task.cancelled(), unstarted.cancelled()))


            async def lock_some(log, results):
                lock = asyncio.Lock()
                await asyncio.gather(*(locked(lock, name, log) for name in "xyz"))


            async def future_some(log, results):
                loop = asyncio.get_running_loop()
                future = loop.create_future()
                future.add_done_callback(lambda done: log.append(done.result()))
                loop.call_soon(lambda value: future.set_result(value), $value)
                results.append(await future)
                await asyncio.sleep(0)


            async def shield_some(log, results):
                inner = asyncio.create_task(turns("shielded", 2, log))
                outer = asyncio.create_task(waits_on(asyncio.shield(inner)))
                await asyncio.sleep(0)
                outer.cancel()
                results += await asyncio.gather(outer, inner, return_exceptions=True)


            async def waits_on(future):
                return await future


            async def pool_some(log, results):
                results += await asyncio.gather($calls, return_exceptions=True)
            """,
            name=name,
            error=value(draft, "error")
            if draft.choices.chance(30)
            else "ValueError('in a task')",
            a=draft.choices.between(1, 4),
            b=draft.choices.between(1, 4),
            size=draft.choices.between(0, 2),
            after=draft.choices.below(3),
            value=value(draft),
            calls=", ".join(_coroutine_calls(draft, 120, 3)),
            more=[
                f"await {one}_some(log, results)"
                for one in draft.choices.some(
                    ("queue", "fail", "cancel", "lock", "future", "shield", "pool"), 3
                )
            ],
        )
    )
    return ["return asyncio.run(run_tasks())"]


@part(since=(3, 11))
def task_groups(draft: Draft, budget: int) -> list[str]:
    """Task groups that fail as a whole; eager tasks where there are any."""
    draft.need("asyncio")
    eager = draft.since(3, 12) and draft.choices.chance(60)
    draft.define(
        fill(
            """
            async def member(n, log):
                log.append(n)
                for _ in range(n):
                    await asyncio.sleep(0)
                if n == $failing:
                    raise ValueError(n)
                log.append(-n)
                return n


            async def eager_or_not(log):
                $eager
                try:
                    async with asyncio.TaskGroup() as group:
                        start = group.create_task
                        made = [start(member(n, log)) for n in range($count)]
                    log.append([task.result() for task in made])
                except* ValueError as errors:
                    log.append(len(errors.exceptions))
                return log
            """,
            # An eager member that fails at once would leave the rest unstarted.
            failing=draft.choices.between(1, 6),
            count=draft.choices.between(2, 5),
            eager=["loop = asyncio.get_running_loop()"]
            + (["loop.set_task_factory(asyncio.eager_task_factory)"] if eager else []),
        )
    )
    return fill(
        """
        with asyncio.Runner() as runner:
            first = runner.run(eager_or_not([]))
            return first, runner.run(member(0 if $failing else 1, []))
        """,
        failing=draft.choices.below(2),
    )


@part()
def async_generators(draft: Draft, budget: int) -> list[str]:
    """Async generators: comprehensions, asend, athrow, aclose, left suspended."""
    draft.need("asyncio contextlib", "say")
    callee = draft.callable("asyncgen", 60) or function(draft, "asyncgen", 40)
    draft.define(
        fill(
            """
            async def ticks(count, *, pause=True):
                try:
                    for n in range(count):
                        if pause:
                            await asyncio.sleep(0)
                        got = yield n
                        if got is not None:
                            yield ("got", got)
                except ValueError as error:
                    yield error
                finally:
                    await asyncio.sleep(0)
                    say("ticks end", count)


            async def passed_on(source):
                async for one in source:
                    yield one


            @contextlib.asynccontextmanager
            async def opened(name):
                await asyncio.sleep(0)
                try:
                    yield [name]
                finally:
                    say("closed", name)


            async def anext_of(it):
                return await anext(it, "none left")


            async def double(n):
                await asyncio.sleep(0)
                return n * 2


            async def run_streams():
                results = [[n async for n in ticks(3) if n != 1]]
                $chosen
                return results


            async def comprehensions(results):
                results.append({n: await double(n) async for n in ticks($count)})
                results.append([await double(n) for n in range(2)])
                lazy = (n * 10 async for n in ticks(3))
                results.append([n async for n in lazy])


            async def by_hand(results):
                it = ticks(5)
                try:
                    results.append(await it.asend(None))
                    results.append(await it.asend($sent))
                    try:
                        results.append(await it.athrow($thrown))
                    except Exception as error:
                        results.append(error)
                    await it.aclose()
                    results.append(await anext_of(it))
                finally:  # SystemExit passes
                    del it  # the loop ends what is left in the order of a set


            async def left_open(results):
                it = passed_on(ticks(9, pause=False))
                async for one in it:
                    if one == 2:
                        break
                results.append(await anext_of(it))
                await it.aclose()
                forgotten = ticks(4)
                results.append(await anext_of(forgotten))
                results.append(forgotten)


            async def managed(results):
                async with opened("a") as a, opened("b") as b:
                    results.append(a + b)
                async with contextlib.aclosing(ticks(2)) as it:
                    results.append(await anext(it))
                async with contextlib.AsyncExitStack() as stack:
                    results.append(await stack.enter_async_context(opened("c")))


            async def of_pool(results):
                async for one in $pool:
                    results.append(one)


            async def beside(results):
                async def reads(limit):
                    return [n async for n in ticks(limit)]

                results += await asyncio.gather(reads(2), reads(3), double(4))
            """,
            count=draft.choices.between(1, 4),
            sent=value(draft, "", 1),
            thrown=draft.choices.pick(
                ("ValueError('thrown')", value(draft, "error"), "KeyError(1)")
            ),
            pool=f"{callee.name}({arguments(draft, callee.signature, [])})",
            chosen=[
                f"await {one}(results)"
                for one in draft.choices.some(
                    (
                        *("comprehensions", "by_hand", "left_open", "managed"),
                        *("of_pool", "beside"),
                    ),
                    3,
                )
            ],
        )
    )
    return ["return asyncio.run(run_streams())"]


@part()
def coroutines(draft: Draft, budget: int) -> list[str]:
    """Coroutines without a loop: sent to, thrown into, closed; awaitables."""
    draft.need("types", "step_by_hand drive")
    draft.define(
        fill(
            """
            class Later:
                def __init__(self, *values):
                    self.values = values

                def __await__(self):
                    for one in self.values:
                        got = yield one
                    return got, len(self.values)


            @types.coroutine
            def suspend(value):
                return (yield value)


            async def inner(n):
                try:
                    first = await suspend(("inner", n))
                    return first, await Later(n, $value)
                except ValueError as error:
                    return "inner handled", await suspend(error)
                finally:
                    n = None


            async def outer(depth, *, api_key=$secret):
                if depth:
                    return [await outer(depth - 1)]
                result = await inner(depth)
                if result[0] == "inner handled":
                    raise LookupError(result)
                return result


            class AsyncItems:
                def __init__(self, count):
                    self.count = count

                def __aiter__(self):
                    return self

                async def __anext__(self):
                    if self.count == 0:
                        raise StopAsyncIteration
                    self.count -= 1
                    return await suspend(self.count)


            async def collects():
                return [one async for one in AsyncItems($items)]


            async def no_wait(value):
                return value
            """,
            value=value(draft),
            secret=value(draft, "secret"),
            items=draft.choices.between(1, 3),
        )
    )
    return fill(
        """
        results = [step_by_hand(outer($depth)), step_by_hand(no_wait($value))]
        half = outer(1)
        results.append(drive(half, (("send", None), ("throw", $error), ("send", 3))))
        half.close()
        closed = inner(5)
        closed.send(None)
        closed.close()
        unstarted = inner(6)
        unstarted.close()
        try:
            closed.send(None)
        except RuntimeError as error:
            results.append(error)
        results.append(step_by_hand(collects()))
        manual = Later("x").__await__()
        results.append(drive(manual, (("__next__",), ("send", $value))))
        return results
        """,
        depth=draft.choices.below(5),
        value=value(draft),
        error=draft.choices.pick(
            ("ValueError(1)", "KeyError(2)", value(draft, "error"))
        ),
    )
