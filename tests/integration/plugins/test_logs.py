"""What a program says to ``logging`` and ``warnings``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kolo_c.plugins.secret import mask_pairs
from tests.integration.plugins.recording import record

pytestmark = pytest.mark.parametrize("core", ["c", "python"])


def lines(recorded):
    return [
        (at["level_name"], at["logger"], at["text"]) for at in recorded.fields("log")
    ]


def test_a_line_of_the_log_has_what_its_handlers_made_of_it(core, tmp_path: Path):
    recorded = record(
        tmp_path,
        """
        import logging, sys
        logging.basicConfig(level="INFO", stream=sys.stdout)
        shop = logging.getLogger("shop.orders")

        class Order:
            asked = 0
            def __str__(self):
                Order.asked += 1
                return f"order 7, asked {self.asked} times"

        def sell():
            shop.info("sold %s", Order())
            shop.debug("not shown %s", Order())
            shop.log(35, "between %d and %5.2f", 3, 4.5)
        sell()
        print(Order.asked)
        """,
        core=core,
    )
    assert lines(recorded) == [
        ("INFO", "shop.orders", "sold order 7, asked 1 times"),
        ("WARNING", "shop.orders", "between 3 and  4.50"),
    ]
    assert {event.call.function for event in recorded.events("log")} == {"sell"}


def test_a_line_of_the_log_has_the_line_that_logged_it(core, tmp_path: Path):
    """All of a function's were shown with the line of its ``def``; those of a module,
    with 1. SQL and warnings had the right one."""
    recorded = record(
        tmp_path,
        """
        import logging, sys
        logging.basicConfig(level="INFO", stream=sys.stdout)
        def sell(n):
            if n:
                logging.info("few")
                sell(0)
            for _ in range(2):
                logging.getLogger("shop").warning(
                    "sold")
        sell(1)
        logging.error("done")
        def steps():
            logging.info("first")
            yield 1
            logging.info("second")
        list(steps())
        """,
        core=core,
    )
    assert [(at.summary, at.line) for at in recorded.events("log")] == [
        ("few", 6), *[("sold", 9)] * 4, ("done", 12), ("first", 14), ("second", 16),
    ]  # fmt: skip


def test_what_no_handler_formatted_asks_no_class_of_the_program(core, tmp_path: Path):
    recorded = record(
        tmp_path,
        """
        import datetime, logging
        logging.lastResort = None
        logging.raiseExceptions = False
        class Order:
            def __str__(self): print("asked"); return "order"
            __repr__ = __format__ = __int__ = __str__
        class Name(str):
            def __str__(self): print("asked"); return "name"
        log = logging.getLogger("shop")
        def say():
            log.warning("a %s %r %d %s", Order(), [Order(), "x"], 3, Name("Bo"))
            log.warning("wrong %d", Order())
            log.error("%(at)s %(n)s", {"at": datetime.date(2026, 1, 2), "n": Order()})
            log.error(Order())
            log.error("too %s %s", "few")
            log.error("100%")
            log.error("long %s", "x" * 100_000)
        say()
        """,
        core=core,
    )
    texts = [text for _, _, text in lines(recorded)]
    assert texts[:6] == [
        "a <__main__.Order> [<__main__.Order>, 'x'] 3 Bo",
        "wrong %d (<__main__.Order>,)",
        "2026-01-02 <__main__.Order>",
        "<__main__.Order>",
        "too %s %s ('few',)",
        "100%",
    ]
    assert len(texts[6]) < 5000


def test_an_exception_is_named_below_the_line(core, tmp_path: Path):
    recorded = record(
        tmp_path,
        """
        import logging, sys
        log = logging.getLogger("shop")
        logging.basicConfig(stream=sys.stdout, format="%(message)s %(levelname)s")
        class Own(Exception):
            def __str__(self): print("asked"); return "own"
        def fail(error):
            try:
                raise error
            except Exception:
                log.exception("it failed")
        fail(ValueError("no such order"))
        fail(KeyError("x"))
        fail(FileNotFoundError(2, "No such file"))
        logging.getLogger().handlers[0].setFormatter(logging.Formatter("%(name)s"))
        """,
        core=core,
    )
    assert [text for _, _, text in lines(recorded)] == [
        "it failed\nValueError: no such order",
        "it failed\nKeyError: 'x'",
        "it failed\nFileNotFoundError: [Errno 2] No such file",
    ]


def test_secrets_in_a_line_are_masked_by_their_names(core, tmp_path: Path):
    recorded = record(
        tmp_path,
        """
        import logging, os, warnings
        log = logging.getLogger("shop")
        def say(password):
            log.warning("form %s", {"name": "Ann", "password": password})
            log.warning("GET /?token=%s&page=3", password)
            log.warning("Authorization: Bearer %s", password)
            warnings.warn(f"password={password} is weak")
        say(os.environ["GIVEN"])
        """,
        core=core,
        env={"GIVEN": "hunter2"},
    )
    assert [text for _, _, text in lines(recorded)] == [
        "form {'name': 'Ann', 'password': ***}",
        "GET /?token=***&page=3",
        "Authorization: ***",
    ]
    assert not recorded.holds("hunter2")


def test_a_line_has_its_extras_but_no_object_among_them(core, tmp_path: Path):
    recorded = record(
        tmp_path,
        """
        import logging, sys
        logging.basicConfig(level="INFO", stream=sys.stdout)
        shop = logging.getLogger("shop")

        class Request:
            def __repr__(self):
                raise AssertionError("asked")

        def sell():
            shop.info("sold", extra={"order": 7, "city": "Ulm", "request": Request()})
            shop.info("let in", extra={"password": "hunter22x", "tries": 1.5})
            try:
                1 / 0
            except ZeroDivisionError:
                shop.exception("no", extra={"paid": True})
        sell()
        """,
        core=core,
    )
    assert [text for _, _, text in lines(recorded)] == [
        "sold [order=7 city='Ulm']",
        "let in [password=*** tries=1.5]",
        "no [paid=True]\nZeroDivisionError: division by zero",
    ]


def test_nothing_of_what_a_line_is_about_is_asked(core, tmp_path: Path):
    """Django's `request.user` asks the database when it is asked for its class."""
    recorded = record(
        tmp_path,
        """
        import logging
        asked = []
        class Lazy:
            @property
            def __class__(self):
                asked.append("class")
                return object
        class Key(str):
            def __hash__(self):
                asked.append("hash")
                return str.__hash__(self)
        class Items(dict):
            def __bool__(self):
                asked.append("bool")
                return True
        shop = logging.getLogger("shop")
        shop.setLevel("INFO")
        shop.propagate = False
        shop.addHandler(logging.NullHandler())  # formats none of them

        def sell(lazy):
            shop.info("sold to %s %s", lazy, [lazy])
            shop.info("sold %(a)s", {"a": lazy, "b": {"c": lazy}})
            shop.info(lazy)
            shop.info("items %(one)s", Items(one=1))
            shop.info("more", extra={Key("key"): 1, "lazy": lazy})
        sell(Lazy())
        print(asked)
        """,
        core=core,
    )
    assert [text for _, _, text in lines(recorded)] == [
        "sold to <__main__.Lazy> [<__main__.Lazy>]", "sold <__main__.Lazy>",
        "<__main__.Lazy>", "items %(one)s <__main__.Items>",
        "more",
    ]  # fmt: skip


def test_a_warning_that_is_shown_is_recorded(core, tmp_path: Path):
    recorded = record(
        tmp_path,
        """
        import warnings
        class Old(UserWarning):
            def __str__(self): print("asked"); return "old"
        def use():
            warnings.simplefilter("always")
            warnings.warn("do not", DeprecationWarning)
            warnings.warn(Old("x"))
            warnings.simplefilter("ignore")
            warnings.warn("never seen")
            with warnings.catch_warnings(record=True) as found:
                warnings.simplefilter("always")
                warnings.warn("kept", RuntimeWarning)
            print(len(found))
        use()
        """,
        core=core,
    )
    found = recorded.fields("warning")
    assert [(at["category"], at["text"], at["line"]) for at in found] == [
        ("DeprecationWarning", "do not", 7),
        ("Old", "<__main__.Old>", 8),
        ("RuntimeWarning", "kept", 13),
    ]
    assert found[0]["file"].endswith("program.py")
    assert recorded.summaries("warning")[0] == "DeprecationWarning: do not"


def test_a_handler_may_be_replaced_and_may_raise(core, tmp_path: Path):
    """What a handler of the program logs itself is recorded, too; one that raises ends
    the call as it does without us."""
    recorded = record(
        tmp_path,
        """
        import logging
        class Broken(logging.Handler):
            def handle(self, record):
                if record.levelno >= logging.ERROR:
                    raise RuntimeError("handler")
                if record.name == "outer":
                    logging.getLogger("inner").warning("within")
        logging.getLogger().addHandler(Broken())
        def say():
            logging.getLogger("outer").warning("around")
            try:
                logging.getLogger("outer").error("raises")
            except RuntimeError as error:
                print(error)
        say()
        """,
        core=core,
    )
    assert lines(recorded) == [
        ("WARNING", "inner", "within"),
        ("WARNING", "outer", "around"),
        ("ERROR", "outer", "raises"),
    ]


def test_pairs_are_masked_in_linear_time(core):
    """However the text is made up."""
    for text in ("a:" * 50_000, '"' * 99_000 + "a:", "name: 'x " * 9000, "a" * 99_000):
        assert mask_pairs(text) == text
    assert mask_pairs("passwords: ['a', 'b'] x") == "passwords: *** x"
    assert mask_pairs("user[password]=x") == "user[password]=***"
    assert mask_pairs('{"apiToken" : "a\\"b", "n": 1}') == '{"apiToken" : ***, "n": 1}'
    assert sys.getrecursionlimit() < 5000
