"""``kolo_c.current`` and ``kolo_c.note``: what a program says of its own trace."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kolo_c
from kolo_c.store.records import Note
from kolo_c.store.values import Dict, Masked
from tests.spec.pypy import not_on_pypy
from tests.spec.tracing import environment, recover

SECRET = "AKIA" + "Q3EGRIYZ5NWTX7LM"


def test_a_trace_has_the_name_and_the_attributes_that_it_was_given(trace):
    traced = trace(
        """
        import kolo_c
        def f(): pass
        f()
        kolo_c.current().name = 'import of orders'
        assert kolo_c.current().set(customer=42, source='mail', share=0.5, new=True)
        assert kolo_c.current().set(source='fax', none=None)
        assert kolo_c.current().name == 'import of orders'
        print(kolo_c.current().id)
        """
    )
    info = traced.trace().info
    assert info.row.name == "import of orders"
    assert info.id == traced.stdout.strip()
    assert info.attributes == {
        "customer": 42,
        "source": "fax",
        "share": 0.5,
        "new": True,
        "none": None,
    }


def test_they_are_there_when_the_program_is_killed(trace):
    """Before the first record of the trace, and after it; in the mapping alone, and
    after a recovery."""
    traced = trace(
        """
        import kolo_c, os, signal
        kolo_c.current().set(early=1)
        def f(): pass
        f()
        kolo_c.current().set(late=2)
        kolo_c.current().name = 'killed'
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        fails=True,
    )
    for _ in range(2):
        info = traced.infos()[0]
        assert info.row.name == "killed"
        assert info.attributes == {"early": 1, "late": 2}
        assert info.status == "interrupted"
        recover(traced)


def test_they_outlast_the_change_of_the_segment(trace):
    traced = trace(
        """
        import kolo_c, kolo_c.session, os
        kolo_c.current().set(before=1)
        def f(text): pass
        for _ in range(800): f(os.urandom(3000).hex())
        kolo_c.scope.active_session().flush()
        kolo_c.current().set(after=2)
        for _ in range(800): f(os.urandom(3000).hex())
        os._exit(0)
        """,
        config={"segment_max_bytes": 1 << 20, "text_bytes": 8000},
        clean=False,
    )
    assert len(list((traced.store / "segments").glob("*.db"))) > 1
    assert traced.infos()[0].attributes == {"before": 1, "after": 2}


def test_each_boundary_has_its_own(trace):
    traced = trace(
        """
        import asyncio, kolo_c
        def f(n): pass
        @kolo_c.trace('job', boundary=True)
        async def job(n):
            f(n)
            await asyncio.sleep(0)
            kolo_c.current().set(n=n)
            kolo_c.current().name = f'job {n}'
            return kolo_c.current().id
        async def main():
            ids = await asyncio.gather(job(1), job(2))
            assert len(set(ids)) == 2
            f(0)
        asyncio.run(main())
        kolo_c.current().set(outer=True)
        """
    )
    infos = {info.row.name: info.attributes for info in traced.infos()}
    assert infos.pop("job 1") == {"n": 1}
    assert infos.pop("job 2") == {"n": 2}
    assert list(infos.values()) == [{"outer": True}]


def test_a_trace_that_has_ended_takes_nothing_more(trace):
    traced = trace(
        """
        import kolo_c
        def f(): pass
        with kolo_c.trace('one', ):
            f()
            kept = kolo_c.current()
            assert kept and kept.set(a=1)
        assert not kept.set(b=2)
        kept.name = 'other'
        assert not kolo_c.current()
        assert repr(kolo_c.current()) == '<no trace>'
        with kolo_c.trace('two'):
            f()
            assert not kept.set(c=3)
        """,
        under=(),
    )
    assert [(i.row.name, i.attributes) for i in traced.infos()] == [
        ("one", {"a": 1}),
        ("two", {}),
    ]


def test_a_forked_child_has_a_trace_of_its_own(trace):
    traced = trace(
        """
        import kolo_c, os
        def f(): pass
        f()
        kept = kolo_c.current()
        kept.set(who='parent')
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
        else:
            f()
            assert not kept.set(who='the child, by its parent\\'s trace')
            assert kolo_c.current().attributes == {}
            assert kolo_c.current().id != kept.id
            kolo_c.current().set(who='child')
        """
    )
    attributes = [info.attributes for info in traced.infos()]
    assert attributes == [{"who": "parent"}, {"who": "child"}]


def test_secrets_are_masked_in_attributes_names_and_notes(trace):
    traced = trace(
        f"""
        import kolo_c
        secret, key = 'correct horse', {SECRET!r}
        def login(password): pass
        login(secret)
        now = kolo_c.current()
        now.set(password='battery', token=123456, seen=secret, text=f'key {{key}}.')
        now.set(repeated='battery', token_count=3, empty_password='')
        now.name = f'with {{key}}'
        kolo_c.note(f'note {{key}}', password='battery', again=secret)
        """
    )
    info = traced.trace().info
    assert info.attributes == {
        "password": "***",
        "token": "***",
        "seen": "***",
        "text": "key ***.",
        "repeated": "***",
        "token_count": 3,
        "empty_password": "",
    }
    assert info.row.name == "with ***"
    found = b"".join(path.read_bytes() for path in traced.files())
    assert b"note AKIA" not in found
    (note,) = [r for r in traced.trace().stream(1).records() if isinstance(r, Note)]
    assert note.values.pairs == (("password", Masked(7)), ("again", Masked(13)))
    assert "AKIA" not in str(note.text)


def test_names_that_a_trace_begins_with_are_masked_as_well(tmp_path, core):
    program = f"""
import kolo_c
def f(): pass
with kolo_c.trace("part {SECRET}", boundary=True):
    f()
f()
"""
    subprocess.run(
        [sys.executable, "-m", "kolo_c", "run", "-q", f"--core={core}", "--name",
         f"all {SECRET}", "-c", program],
        cwd=tmp_path, env=environment(), check=True, timeout=60,
    )  # fmt: skip
    with kolo_c.open(tmp_path) as store:
        assert [trace.name for trace in store.traces()] == ["part ***", "all ***"]


def test_no_code_of_the_program_runs_for_an_attribute(trace):
    traced = trace(
        """
        import datetime, decimal, enum, kolo_c, pathlib, uuid
        def f(): pass
        f()
        class Meta(type):
            def __getattribute__(cls, name): raise SystemExit('meta')
        class Hostile(metaclass=Meta):
            def __repr__(self): raise SystemExit('repr')
            __str__ = __format__ = __hash__ = __bool__ = __eq__ = __repr__
            def __getattribute__(self, name): raise SystemExit('get')
        class Text(str):
            def __str__(self): raise SystemExit('str')
            __getitem__ = __repr__ = __hash__ = encode = __str__
        class Number(int):
            def __repr__(self): raise SystemExit('int')
            __str__ = __index__ = __int__ = __add__ = __repr__
        class Real(float):
            def __repr__(self): raise SystemExit('float')
            __str__ = __float__ = __add__ = __repr__
        class Zone(datetime.tzinfo):
            def utcoffset(self, _): raise SystemExit('zone')
            dst = tzname = utcoffset
        class Colour(enum.Enum):
            RED = 1
            def __str__(self): raise SystemExit('enum')
        when = datetime.datetime(2026, 1, 2, 3, 4)
        ok = kolo_c.current().set(
            hostile=Hostile(), text=Text('text'), number=Number(7), real=Real(1.5),
            zone=when.replace(tzinfo=Zone()), utc=when.replace(tzinfo=datetime.timezone.utc),
            colour=Colour.RED, money=decimal.Decimal('1.10'), path=pathlib.PurePosixPath('/a'),
            uuid=uuid.UUID(int=1), big=1 << 70, nan=float('nan'), list=[1], cls=Hostile,
            lone='\\ud800',
        )
        assert ok
        class Weird: pass
        Weird.__module__ = 5
        kolo_c.current().set(weird=Weird(), long='x' * 5000)
        kolo_c.note(Text('note'), value=Hostile())
        kolo_c.note(Hostile())
        """
    )
    found = traced.trace().info.attributes
    assert len(found.pop("long")) == 1000
    assert found == {
        "hostile": "<__main__.Hostile>",
        "text": "text",
        "number": 7,
        "real": 1.5,
        "zone": "2026-01-02 03:04:00",
        "utc": "2026-01-02 03:04:00+00:00",
        "colour": "Colour.RED",
        "money": "1.10",
        "path": "/a",
        "uuid": "00000000-0000-0000-0000-000000000001",
        "big": "0x400000000000000000",
        "nan": "nan",
        "list": "<list>",
        "cls": "<__main__.Meta>",
        "lone": "\\ud800",
        "weird": "<Weird>",
    }


def test_attributes_without_end_are_refused_and_cost_little(trace):
    traced = trace(
        """
        import kolo_c
        def f(): pass
        f()
        now = kolo_c.current()
        kept = [now.set(**{f'key{n}': 'x' * 900}) for n in range(30)]
        assert kept == [True] * 13 + [False] * 17, kept
        for n in range(3_000): assert now.set(progress=n)
        """
    )
    info = traced.trace().info
    assert info.attributes["progress"] == 2_999
    assert len(info.attributes) == 14
    assert sum(path.stat().st_size for path in traced.files()) < 20 << 20


@pytest.mark.hooks("setprofile")
def test_the_recorder_s_own_attributes_are_not_the_program_s(trace):
    traced = trace(
        """
        import kolo_c
        def f(): pass
        f()
        now = kolo_c.current()
        assert not now.set(**{'kolo_c.failure': '[]', 'mine': 1})
        assert now.attributes == {}
        raise SystemExit(3)
        """,
        fails=True,
    )
    info = traced.trace().info
    assert info.attributes == {}
    assert "kolo_c.failure" in info.own


def test_threads_say_what_they_like_of_the_same_trace(trace):
    traced = trace(
        """
        import kolo_c, sys, threading
        go = threading.Event()
        def f(): pass
        f()
        def work(n):
            go.wait()
            for i in range(100): assert kolo_c.current().set(**{f'thread{n}': i})
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads: thread.start()
        sys.setswitchinterval(1e-6)
        go.set()
        for thread in threads: thread.join()
        """
    )
    assert traced.trace().info.attributes == {f"thread{n}": 99 for n in range(4)}


def test_a_note_stands_where_the_program_stood(trace):
    traced = trace(
        """
        import kolo_c
        def f(n):
            assert kolo_c.note('reached', n=n, text='a') is True
            return n
        f(1)
        """
    )
    assert traced.calls() == "f(n=1) -> 1\n  note reached() noted"
    (record,) = [r for r in traced.trace().stream(1).records() if isinstance(r, Note)]
    assert (record.text, record.values) == ("reached", Dict((("n", 1), ("text", "a"))))


def test_a_note_outside_every_trace_is_none(trace):
    trace(
        """
        import kolo_c
        assert kolo_c.note('x', a=1) is False
        with kolo_c.trace('t'): assert kolo_c.note('x', text=2)
        assert kolo_c.note('x') is False
        """,
        under=(),
    )


@not_on_pypy("contextvars is written in Python, and imports more")
@pytest.mark.parametrize("call", ["note('x')", "current().set(a=1)", "pause()"])
def test_a_program_that_is_not_recorded_imports_next_to_nothing(trace, call):
    traced = trace(
        f"""
        import sys
        before = set(sys.modules)
        import kolo_c
        kolo_c.{call}
        print(*sorted(set(sys.modules) - before))
        """,
        under=(),
    )
    found = {name.split(".")[0] for name in traced.stdout.split()} - {"kolo_c"}
    # importlib, which has the last two, is what offers the names lazily.
    ours = {"__future__", "_contextvars", "contextvars"}
    assert found <= ours | {"importlib", "warnings"}


def test_what_a_boundary_is_told_is_stored_by_the_same_rules(trace):
    """The C core has a short way for what is stored as it is."""
    traced = trace(
        """
        import kolo_c, kolo_c.session
        class Text(str): pass
        def f(): return 1
        session = kolo_c.scope.active_session()
        def boundary(name, early, late, end_name=''):
            number, _ = session.begin_boundary(name, 'request', attributes=early)
            token = kolo_c.scope.SCOPE.set(number)
            f()
            kolo_c.scope.SCOPE.reset(token)
            session.end_boundary(number, 'exit', name=end_name, attributes=late)
        boundary('a', {'path': '/a', 'n': 1}, {'ok': True, 'none': None}, 'a → 200')
        boundary('b', {'path': Text('/b')}, {'n': 1 << 70, 'ratio': 0.5})
        boundary('c', {'path': '/c', 'n': 1}, {'n': 2})
        boundary('d', {'quoted': 'a "b" \\\\ c', 'other': 'ü\\n'}, {})
        boundary('e', {'password': 'hunter2'}, {'url': 'http://u:s3cr3t@h/'})
        boundary('x hunter2', {'seen': 'hunter2'}, {}, 'y' * 300)
        boundary('\\ud800', {'least': -(1 << 63)}, {})
        """
    )
    stored = {info.row.name: info.attributes for info in traced.infos()[1:]}
    assert stored == {
        "a → 200": {"path": "/a", "n": 1, "ok": True, "none": None},
        "b": {"path": "/b", "n": hex(1 << 70), "ratio": 0.5},
        "c": {"path": "/c", "n": 2},
        "d": {"quoted": 'a "b" \\ c', "other": "ü\n"},
        "e": {"password": "***", "url": "http://u:***@h/"},
        "y" * 250: {"seen": "***"},
        "\\ud800": {"least": -(1 << 63)},
    }


def test_a_boundary_s_name_is_the_summary_of_its_fields(trace):
    """What is simple the C core makes by itself, as Python does."""
    traced = trace(
        """
        import itertools, kolo_c, kolo_c.session
        from kolo_c.plugins.summary import summarise
        class Text(str): pass
        native = kolo_c.scope.active_session().native
        templates = [
            '', 'plain', '{a} {b}[ → {c}]', '{a}[ {b} {c}]!', '[{a}]', '[{a}', '{a} [',
            '{a', '} {a}] [{b', '[ {}]', '{}{a}', '[[{a}]]', 'ü{a}ü', '[x]{a}[y {b} z]'
        ]
        values = [
            None, '', 'GET', '/a b', ' a', 'a ', 'a  b', 'a\\tb', 'ü', '{b}', '[x]', 200,
            -5, 1 << 80, True, 0.5, Text('t'), 'x' * 199, 'x' * 200, 'x' * 201, b'b'
        ]
        simple = wrong = 0
        for template in templates:
            for a, b in itertools.product(values, values):
                fields = {'a': a, 'b': b, 'c': 'end' if a == b else None, '': 'empty'}
                found = getattr(native, 'simple_facts', lambda *given: None)(
                    template, 'other', {}, ('a', 'b', 'none'), fields)
                if found is None:
                    continue
                simple += 1
                line = summarise(template, fields) or 'other'
                kept = {k: fields[k] for k in 'ab' if fields[k] is not None}
                if (found[0], found[1]) != (line, kept):
                    wrong += 1
                    print(template, fields, found)
        print(simple, wrong)
        """
    )
    simple, wrong = traced.stdout.split()
    assert wrong == "0"
    assert int(simple) > 1000 or traced.core == "python"


def test_many_boundaries_in_one_thread_share_the_pool(trace):
    """Each has a block of its own. When all were taken, the thread waited for one in vain:
    its other streams were not asked for theirs. Then each gave one up, and waited for its
    transaction: 255 of them, in C 6 s.
    """
    traced = trace(
        """
        import contextvars, kolo_c, kolo_c.session
        def f(n): return n
        def inside(number, turn):
            kolo_c.scope.SCOPE.set(number)
            f(turn)
        with kolo_c.trace('x'):
            session = kolo_c.scope.active_session()
            numbers = [session.begin_boundary(str(n), 'request')[0] for n in range(255)]
            for turn in range(2):
                for number in numbers:
                    contextvars.copy_context().run(inside, number, turn)
            if session.config.core == 'python':
                print(session._native.inner.queue.batch_count)
            for number in numbers: session.end_boundary(number, 'exit')
        """,
        under=(),
    )
    assert len(traced.infos()) == 256
    assert traced.calls(200) == "f(n=0) -> 0\nf(n=1) -> 1"
    if traced.core == "python":  # C does not count its transactions
        assert int(traced.stdout) < 128
