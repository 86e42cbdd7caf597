"""Whose a call is: the trace of a boundary goes with what it starts, into threads,
executors and tasks; what outlives it has a trace of its own, named after it."""

from __future__ import annotations

from tests.spec.tracing import Traced

REQUEST = """
import asyncio
import contextvars
import threading
import time
from concurrent.futures import ThreadPoolExecutor
import kolo_c

class Request(kolo_c.Plugin):
    watch = ("__main__:handle", "__main__:ahandle")
    kind = kolo_c.Kind("request", "", "green", "GET {path}[ → {status}]")
    boundary = True
    def start(self, frame):
        return {"path": frame.f_locals["path"]}
    def finish(self, frame, value, exception):
        return {"status": 200}

kolo_c.plugin(Request)
def work(path, what):
    return what
"""


def names(traced: Traced) -> dict[str, int]:
    """The number of each boundary's trace by its name."""
    return {
        info.row.name: at for at, info in enumerate(traced.infos()) if info.row.parent
    }


def texts(traced: Traced, name: str) -> str:
    """All threads' calls of a trace."""
    return "\n".join(
        tree.text(tree.roots, traced_show())
        for tree in traced.trees(names(traced)[name])
    )


def traced_show():
    from tests.spec.replay import Show

    return Show()


def test_a_thread_belongs_to_the_trace_that_starts_it(trace):
    traced = trace(
        REQUEST
        + """
barrier = threading.Barrier(2)
def handle(path):
    barrier.wait()
    thread = threading.Thread(target=work, args=(path, 'thread'))
    thread.start()
    thread.join()
    class Own(threading.Thread):
        def run(self):
            work(path, 'subclass')
    thread = Own()
    thread.start()
    thread.join()
both = [threading.Thread(target=handle, args=(path,)) for path in ('/a', '/b')]
for thread in both: thread.start()
for thread in both: thread.join()
work('', 'after')
"""
    )
    assert sorted(names(traced)) == ["GET /a → 200", "GET /b → 200"]
    for path, other in (("/a", "/b"), ("/b", "/a")):
        text = texts(traced, f"GET {path} → 200")
        assert f"work(path='{path}', what='thread')" in text
        assert f"work(path='{path}', what='subclass')" in text
        assert f"'{other}'" not in text
    assert traced.calls().endswith("work(path='', what='after') -> 'after'")


def test_what_is_submitted_to_an_executor_belongs_to_who_submits(trace):
    traced = trace(
        REQUEST
        + """
pool = ThreadPoolExecutor(2)
barrier = threading.Barrier(2)
def handle(path):
    barrier.wait()
    return [pool.submit(work, path, n).result() for n in (1, 2)]
both = [threading.Thread(target=handle, args=(path,)) for path in ('/a', '/b')]
for thread in both: thread.start()
for thread in both: thread.join()
pool.submit(work, '', 'outside').result()
pool.shutdown()
"""
    )
    for path, other in (("/a", "/b"), ("/b", "/a")):
        text = texts(traced, f"GET {path} → 200")
        assert text.count(f"work(path='{path}', what=") == 2
        assert f"'{other}'" not in text
    process = "\n".join(traced.threads().values())
    assert "work(path='', what='outside')" in process
    assert "'/a'" not in process.replace("args=('/a',)", "")


def test_tasks_threads_and_copied_contexts_of_concurrent_coroutines(trace):
    traced = trace(
        REQUEST
        + """
async def part(path):
    await asyncio.sleep(0)
    return work(path, 'task')
async def ahandle(path):
    task = asyncio.create_task(part(path))
    await asyncio.to_thread(work, path, 'to_thread')
    await asyncio.get_running_loop().run_in_executor(None, work, path, 'executor')
    contextvars.copy_context().run(work, path, 'context')
    await task
async def main():
    await asyncio.gather(ahandle('/a'), ahandle('/b'))
asyncio.run(main())
"""
    )
    for path, other in (("/a", "/b"), ("/b", "/a")):
        text = texts(traced, f"GET {path} → 200")
        for what in ("task", "to_thread", "executor", "context"):
            assert f"work(path='{path}', what='{what}')" in text
        assert f"'{other}'" not in text


def test_what_a_request_leaves_behind_has_a_trace_named_after_it(trace):
    traced = trace(
        REQUEST
        + """
tasks = []
async def later(path):
    await asyncio.sleep(0.02)
    work(path, 'late task')
async def ahandle(path):
    tasks.append(asyncio.create_task(later(path)))
    work(path, 'in time')
async def main():
    await asyncio.gather(ahandle('/a'), ahandle('/b'))
    await asyncio.gather(*tasks)
asyncio.run(main())

def handle(path):
    def late():
        go.wait()
        work(path, 'late thread')
    thread = threading.Thread(target=late)
    thread.start()
    return thread
go = threading.Event()
thread = handle('/c')
go.set()
thread.join()
"""
    )
    found = names(traced)
    infos = traced.infos()
    for path in ("/a", "/b"):
        assert "in time" in texts(traced, f"GET {path} → 200")
        late = infos[found[f"after GET {path} → 200"]]
        assert late.row.parent == infos[found[f"GET {path} → 200"]].id
        assert late.row.kind == "background"
        assert f"work(path='{path}', what='late task')" in texts(traced, late.row.name)
    name = "after GET /c → 200"
    assert "work(path='/c', what='late thread')" in texts(traced, name)
    assert all(info.status == "complete" for info in infos)


def test_a_boundary_is_held_open_beyond_its_call(trace):
    traced = trace(
        REQUEST
        + """
from kolo_c.scope import SCOPE
class Hold(kolo_c.Plugin):
    watch = "__main__:body"
    def start(self, frame):
        return {"_number": SCOPE.session.boundaries.hold()}
kolo_c.plugin(Hold)
def body(path):
    number = SCOPE.get()
    for n in (1, 2):
        token = SCOPE.set(number)
        work(path, n)
        SCOPE.reset(token)
        yield n
    SCOPE.session.boundaries.add(number, {"path": path + "!"})
    SCOPE.session.boundaries.release(number)
def handle(path):
    generator = body(path)
    next(generator)
    return generator
rest = handle('/s')
work('', 'between')
list(rest)
work('', 'after')
"""
    )
    text = texts(traced, "GET /s! → 200")
    assert "work(path='/s', what=1)" in text
    assert "work(path='/s', what=2)" in text
    process = traced.calls()
    assert "what='between'" in process
    assert "what=2" not in process


def test_a_handler_may_end_the_trace_that_its_own_call_stands_in(trace):
    """The last chunk of a streaming body is closed within its request's trace."""
    traced = trace(
        REQUEST
        + """
from kolo_c.scope import SCOPE
class Hold(kolo_c.Plugin):
    watch = "__main__:opened"
    def start(self, frame):
        return {"_number": SCOPE.session.boundaries.hold()}
class Release(kolo_c.Plugin):
    watch = "__main__:close"
    kind = kolo_c.Kind("close")
    def finish(self, frame, value, exception, started):
        SCOPE.session.boundaries.release(frame.f_locals["number"])
        return {"late": 1}
kolo_c.plugin(Hold)
kolo_c.plugin(Release)
def opened(): pass
def handle(path):
    opened()
    return SCOPE.get()
def inner(): work('', 'inner')
def close(number):
    inner()
def outer(number):
    close(number)
    work('', 'after')
for path in ('/a', '/b', '/c'):
    number = handle(path)
    token = SCOPE.set(number)
    outer(number)
    SCOPE.reset(token)
    work('', 'outside')
""",
        clean=False,
    )
    found = [f"GET {path} → 200" for path in ("/a", "/b", "/c")]
    assert sorted(names(traced)) == [*found, *(f"after {name}" for name in found)]
    for path in ("/a", "/b", "/c"):
        assert "work(path='', what='inner')" in texts(traced, f"GET {path} → 200")
    assert traced.calls().count("work(path='', what='outside')") == 3


def test_a_task_that_the_program_keeps_ends_its_late_trace_when_it_is_done(trace):
    traced = trace(
        """
        import asyncio, kolo_c
        @kolo_c.plugin
        class Request(kolo_c.Plugin):
            watch = "__main__:handle"
            kind = kolo_c.Kind("request", "", "green", "request {n}")
            boundary = True
            def start(self, frame):
                return {"n": frame.f_locals["n"]}
        kept = []
        def step(n): pass
        async def late(n):
            await asyncio.sleep(0.01)
            step(n)
        async def handle(n):
            kept.append(asyncio.create_task(late(n)))
        async def main():
            await asyncio.create_task(handle(1))
            await kept[0]
            await asyncio.create_task(handle(2))
            with kolo_c.open() as store:
                for found in store.traces():
                    if found.name == "after request 1":
                        print(found.status)
        asyncio.run(main())
        """
    )
    assert traced.stdout == "complete\n"


def test_nothing_is_left_of_threads_that_have_ended(trace):
    """A server that answers each request on a thread of its own goes on for days."""
    traced = trace(
        REQUEST
        + """
import gc
class Own(threading.Thread):
    def run(self): work(self.name, 'own')
def handle(path):
    thread = Own()
    thread.start()
    thread.join()
boundaries = kolo_c.scope.SCOPE.session.boundaries
for number in range(50):
    handle(f'/{number}')
gc.collect()
kept = {name: len(value) for name, value in vars(boundaries).items()
        if isinstance(value, (dict, set)) and name != '_ended'}
print({name: count for name, count in kept.items() if count > 2})
"""
    )
    assert traced.stdout == "{}\n"
    assert len(names(traced)) == 50


# Its one worker waits: what is submitted is run by whoever calls run_next().
BUSY_POOL = """
pool = ThreadPoolExecutor(1)
stop = threading.Event()
pool.submit(stop.wait)
while pool._work_queue.qsize(): time.sleep(0.001)
def run_next():
    make = getattr(pool, '_create_worker_context', None)  # from 3.14 on
    pool._work_queue.get_nowait().run(*([] if make is None else [make()]))
"""


def test_work_that_outlives_two_requests_is_told_apart_and_ends_with_its_last(trace):
    traced = trace(
        REQUEST
        + """
pool = ThreadPoolExecutor(4)
begun = threading.Barrier(5)
go = {path: (threading.Event(), threading.Event()) for path in ('/a', '/b')}
def late(path, number):
    begun.wait()
    go[path][number].wait()
    work(path, number)
def handle(path):
    return [pool.submit(late, path, number) for number in (0, 1)]
def status():
    with kolo_c.open() as store:
        return {t.name: t.status for t in store.traces() if t.name.startswith('after')}
found = {path: handle(path) for path in ('/a', '/b')}
begun.wait()
for number in (0, 1):
    for path in ('/a', '/b'):
        go[path][number].set()
        found[path][number].result()
    if number == 0:
        print(sorted(status().values()))
pool.shutdown()
print(sorted(status().values()))
boundaries = kolo_c.scope.SCOPE.session.boundaries
print(boundaries._carriers, boundaries._late)
"""
    )
    assert traced.stdout.splitlines() == [
        "['running', 'running']",
        "['complete', 'complete']",
        "{} {}",
    ]
    for path, other in (("/a", "/b"), ("/b", "/a")):
        text = texts(traced, f"after GET {path} → 200")
        for number in (0, 1):
            assert f"work(path='{path}', what={number})" in text
        assert f"'{other}'" not in text


def test_work_that_raises_gives_its_worker_back(trace):
    traced = trace(
        REQUEST
        + """
pool = ThreadPoolExecutor(1)
class Odd(BaseException): pass
def fail(path, error):
    raise error
def handle(path):
    for error in (ValueError('x'), Odd('y')):
        assert pool.submit(fail, path, error).exception() is error
handle('/a')
pool.submit(work, '', 'outside').result()
pool.shutdown()
print(kolo_c.scope.SCOPE.session.boundaries._carriers)
"""
    )
    text = texts(traced, "GET /a → 200")
    assert "ValueError('x')" in text
    assert "Odd('y')" in text
    process = "\n".join(traced.threads().values())
    assert "work(path='', what='outside')" in process
    assert "fail(" not in process
    assert traced.stdout == "{}\n"


def test_work_runs_where_it_was_submitted_whoever_runs_it(trace):
    """An executor of the program's own may run it within another request."""
    traced = trace(
        REQUEST
        + BUSY_POOL
        + """
def handle(path):
    run_next()
    work(path, 'then')
pool.submit(work, '', 'outside')
thread = threading.Thread(target=handle, args=('/a',))
thread.start()
thread.join()
work('', 'after')
stop.set()
pool.shutdown()
"""
    )
    text = texts(traced, "GET /a → 200")
    assert "work(path='/a', what='then')" in text
    assert "outside" not in text
    process = "\n".join([traced.calls(), *traced.threads().values()])
    assert "work(path='', what='outside')" in process
    assert "work(path='', what='after')" in process


def test_work_of_another_session_stays_where_it_is_run(trace):
    """The number of its trace is that of another one in this session."""
    traced = trace(
        REQUEST
        + BUSY_POOL
        + """
def handle(path, what):
    what()
def both():
    pool.submit(work, '', 'run in the next')
    pool.submit(work, '', 'run after it')
with kolo_c.trace('one'):
    handle('/1', both)
pool.submit(work, '', 'submitted by none')
with kolo_c.trace('two'):
    handle('/2', int)
    handle('/3', run_next)
run_next()
with kolo_c.trace('three'):
    handle('/4', int)
    handle('/5', run_next)
    print(kolo_c.scope.SCOPE.session.boundaries._carriers)
stop.set()
pool.shutdown()
""",
        under=(),
    )
    assert sorted(names(traced)) == [f"GET /{n} → 200" for n in range(1, 6)]
    assert "what='run in the next'" in texts(traced, "GET /3 → 200")
    assert "what='submitted by none'" in texts(traced, "GET /5 → 200")
    assert traced.stdout == "{}\n"


def test_work_that_runs_as_its_session_ends_disturbs_no_other(trace):
    traced = trace(
        REQUEST
        + """
pool = ThreadPoolExecutor(1)
begun, go = threading.Event(), threading.Event()
def long(path):
    begun.set()
    go.wait()
    work(path, 'end')
def handle(path, what, *arguments):
    return pool.submit(what, *arguments)
with kolo_c.trace('one'):
    first = handle('/1', long, '/1')
    begun.wait()
with kolo_c.trace('two'):
    handle('/2', int)
    second = handle('/3', work, '/3', 'second')
    go.set()
    first.result()
    second.result()
    pool.shutdown()
    print(kolo_c.scope.SCOPE.session.boundaries._carriers)
""",
        under=(),
    )
    assert traced.stdout == "{}\n"
    if traced.core == "c":  # the Python core does not see threads that run already
        found = [name for name in names(traced) if name.endswith("GET /3 → 200")]
        text = "".join(texts(traced, name) for name in found)
        assert "work(path='/3', what='second')" in text


def test_work_of_the_parent_belongs_to_no_trace_of_a_forked_child(trace):
    traced = trace(
        REQUEST
        + BUSY_POOL
        + """
import os
def handle(path, what):
    return what()
def submit():
    return pool.submit(work, '', 'of the parent')
future = handle('/parent', submit)
child = os.fork()
if child == 0:
    handle('/1', int)
    handle('/2', run_next)
    print(kolo_c.scope.SCOPE.session.boundaries._carriers, flush=True)
    kolo_c.scope.SCOPE.session.stop()
    os._exit(0)
os.waitpid(child, 0)
stop.set()
future.result()
pool.shutdown()
"""
    )
    assert traced.stdout == "{}\n"
    found = names(traced)
    assert "after GET /1 → 200" not in found
    assert "what='of the parent'" in texts(traced, "GET /2 → 200")
    assert "what='of the parent'" in texts(traced, "after GET /parent → 200")


def test_nothing_is_left_of_work_that_is_done(trace):
    traced = trace(
        REQUEST
        + """
import gc
from contextvars import Token
pool = ThreadPoolExecutor(2)
def handle(path):
    pool.submit(work, path, 1).result()
    pool.submit(work, path, 2)
for number in range(300):
    handle(f'/{number}')
pool.shutdown()
gc.collect()
left = [x for x in gc.get_objects() if type(x) is Token]
boundaries = kolo_c.scope.SCOPE.session.boundaries
print(len(left) < 5, boundaries._carriers, boundaries._late)
"""
    )
    assert traced.stdout == "True {} {}\n"
