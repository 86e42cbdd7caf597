"""Threads that hand over, and contexts: exactly one of them runs at a time.

A thread waits for its turn in a queue, and who gave it the turn waits for the answer.
So the order is the program's, whatever the scheduler does.

Threads: one at a time. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.validate.generate.features.part import part
from kolo_c.validate.generate.text import fill
from kolo_c.validate.generate.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.validate.generate.draft import Draft


@part()
def threads(draft: Draft, budget: int) -> list[str]:
    """Workers that answer one question at a time; generators that change threads."""
    draft.need("threading queue", "say")
    draft.define(
        fill(
            """
            class Worker(threading.Thread):
                def __init__(self, name):
                    super().__init__(name=name)
                    self.inbox, self.outbox = queue.Queue(), queue.Queue()

                def run(self):
                    while True:
                        job = self.inbox.get()
                        if job is None:
                            self.farewell()
                            return
                        function, arguments = job
                        try:
                            answer = function(*arguments)
                        except Exception as error:
                            answer = error
                        self.outbox.put(answer)

                def ask(self, function, *arguments):
                    self.inbox.put((function, arguments))
                    return self.outbox.get()

                def farewell(self):
                    self.inbox = None


            def squared(n, secret=$secret):
                return n * n


            def fails_in_thread(n):
                raise $error


            def name_of_thread():
                return threading.current_thread().name


            def tells(letters):
                for letter in letters:
                    yield letter, name_of_thread()


            def step(generator):
                return next(generator, None)


            LOCAL = threading.local()


            def local_value(*set_to):
                for LOCAL.value in set_to:
                    pass
                return getattr(LOCAL, "value", None)


            def plain_thread(log, password):
                log.append(name_of_thread())
                log.append(squared(3))
            """,
            secret=value(draft, "secret"),
            error=draft.choices.pick(("ValueError('thread')", "KeyError(n)")),
        )
    )
    return fill(
        """
        workers = [Worker(f"worker-{n}") for n in range($count)]
        for worker in workers:
            worker.start()
            worker.ask(name_of_thread)
        shared = tells("abcdef")
        results = [next(shared)]
        for turn in range($turns):
            for worker in workers:
                results.append(worker.ask(squared, turn))
                results.append(worker.ask(step, shared))
            results.append(step(shared))
        results.append(workers[0].ask(fails_in_thread, 1))
        results.append([workers[-1].ask(local_value, $value), local_value()])
        results.append(workers[0].ask(list, shared))
        for worker in workers:
            worker.inbox.put(None)
            worker.join()
        log = []
        thread = threading.Thread(target=plain_thread, args=(log, "thread-password"))
        thread.start()
        thread.join()
        return results, len(log)
        """,
        count=draft.choices.between(1, 3),
        turns=draft.choices.between(1, 3),
        value=value(draft),
    )


@part()
def executors(draft: Draft, budget: int) -> list[str]:
    """A pool of one thread, whose results are waited for one by one.

    No call is given the pool: its fields change when its thread comes to it.
    """
    draft.need("concurrent.futures asyncio")
    draft.define(
        fill(
            """
            def job(n, *, key=None):
                if n == $bad:
                    raise ValueError(n)
                return [n, helper(n)]


            def helper(n):
                return list(counted(n))


            def counted(n):
                yield from range(n)


            async def from_loop(in_pool):
                return [await in_pool(helper, n) for n in range(2)]
            """,
            bad=draft.choices.below(4),
        )
    )
    return fill(
        """
        def in_pool(*call):
            return asyncio.get_running_loop().run_in_executor(pool, *call)

        results = []
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            for n in range($count):
                future = pool.submit(job, n, key=$value)
                try:
                    results.append(future.result())
                except ValueError as error:
                    results.append(error)
            results.append(asyncio.run(from_loop(in_pool)))
        return results
        """,
        count=draft.choices.between(1, 5),
        value=value(draft),
    )


@part()
def context_variables(draft: Draft, budget: int) -> list[str]:
    """Context variables: copies, runs, tokens, tasks and generators within them."""
    draft.need("contextvars asyncio functools threading")
    draft.define(
        fill(
            """
            CURRENT = contextvars.ContextVar("current", default="nobody")


            def read(*rest):
                return CURRENT.get(), rest


            def changes(value):
                token = CURRENT.set(value)
                inside = read()
                CURRENT.reset(token)
                return inside, read()


            def leaves_changed(value):
                CURRENT.set(value)
                return read(value)


            def context_steps():
                yield read()
                CURRENT.set("by generator")
                yield read()


            async def sets_own(value):
                CURRENT.set(value)
                await asyncio.sleep(0)
                return read()


            async def both():
                answers = await asyncio.gather(sets_own("one"), sets_own($value))
                return answers, read()
            """,
            value=value(draft, "text"),
        )
    )
    return fill(
        """
        context = contextvars.copy_context()
        results = [read(), context.run(leaves_changed, $value), context.run(read, 1)]
        results += [changes($value), read()]
        it = context.run(context_steps)
        results += [context.run(next, it), contextvars.Context().run(next, it), read()]
        results.append(asyncio.run(both()))
        seen = []
        target = functools.partial(context.run, lambda: seen.append(read()))
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
        try:
            context.run(context.run, read)
        except RuntimeError as error:
            results.append(type(error))
        return results, seen
        """,
        value=value(draft),
    )
