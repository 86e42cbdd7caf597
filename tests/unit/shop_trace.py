"""A request of a shop as plugins record it: statements from one line, HTTP, a log."""

from __future__ import annotations

import platform
from pathlib import Path
from types import CodeType
from typing import Any

from kolo_c.reference.definitions import line_table
from kolo_c.wire import Definition, Kind, Tag
from tests.unit.store_builder import ProcessBuilder, StreamBuilder, TraceBuilder, tagged

VIEWS = """\
def orders(request):
    rows = list(Order.objects.all())
    for row in rows:
        names.append(row.customer.name)
    charge(rows)
    return render(request, "orders.html")


def charge(rows):
    post("https://bank.example/pay")
"""
SELECT = 'SELECT "shop_order"."id" FROM "shop_order" WHERE "shop_order"."day" = %s'
CUSTOMER = 'SELECT "c"."name" FROM "shop_customer" "c" WHERE "c"."id" = %s LIMIT 21'


class Shop:
    """A process with the functions of ``VIEWS`` and the kinds of the built-ins."""

    def __init__(self, root: str = "/app", **process: Any) -> None:
        process.setdefault("python", platform.python_version())
        self.process = ProcessBuilder(**process)
        file = self.process.file(f"{root}/shop/views.py")
        self.process.info["config"] = {"root": root}
        self._codes = {
            code.co_name: code
            for code in compile(VIEWS, "views.py", "exec").co_consts
            if isinstance(code, CodeType)
        }
        self.numbers = {
            name: self.process.code(
                file, name, code.co_varnames[: code.co_argcount],
                line=code.co_firstlineno, table=line_table(code), module="shop.views",
            )
            for name, code in self._codes.items()
        }  # fmt: skip
        kind = self.process.kind
        self.request = kind(
            "request", "Request", "green", "{method} {path}[ → {status}]"
        )
        self.test = kind("test", "Test", "green", "pytest {nodeid}[ {outcome}]")
        self.sql = kind("sql", "SQL", "blue", "{text}[ · {rows} rows]")
        self.http = kind("http", "HTTP", "purple", "{method} {url}[ → {status}]")
        self.template = kind("template", "Template", "yellow", "{name}")
        self.odd = kind("odd", "Oddity", "ultraviolet", "[{size} of ]{thing}")
        self.error = self.process.type("IntegrityError", "django.db.utils")
        self.thread = self.process.thread("MainThread")

    def site(self, function: str, line: int) -> int:
        """The first instruction of a line of a function."""
        code = self._codes[function]
        return next(s // 2 for s, _, found in code.co_lines() if found == line)

    def raised(self, message: str = "no such order", address: int = 0x10) -> list[Any]:
        """An IntegrityError."""
        args = tagged(Tag.TUPLE, message)
        return tagged(Tag.EXCEPTION, self.error, address, args)

    def trace(
        self, name: str, kind: str = "request", **attributes: Any
    ) -> tuple[TraceBuilder, StreamBuilder]:
        """A trace of its own."""
        trace = self.process.trace(name)
        trace.kind = kind
        trace.attributes.update(attributes)
        return trace, trace.stream(self.thread)

    def page(
        self, customers: int = 50, status: int = 200, *, end: bool = True
    ) -> TraceBuilder:
        """A page with one statement a row, a call of a service, a log and a template."""
        trace, s = self.trace(f"GET /orders/7 → {status}")
        s.plugin(self.request, {"method": "GET", "path": "/orders/7"})
        s.call(self.numbers["orders"], None)
        text = {"system": "sqlite", "operation": "SELECT", "text": SELECT}
        s.saw(self.sql, text, {"rows": customers}, site=self.site("orders", 2))
        for number in range(customers):
            fields = {"text": CUSTOMER, "params": tagged(Tag.TUPLE, number)}
            s.saw(
                self.sql, fields, {"rows": 1}, site=self.site("orders", 4), took=200_000
            )
        s.call(self.numbers["charge"], None, site=self.site("orders", 5))
        url = {"method": "POST", "url": "https://bank.example/pay"}
        s.saw(self.http, url, {"status": 201}, site=self.site("charge", 10))
        s.log(30, "shop.views", "the bank was slow", self.site("charge", 10))
        s.ret()
        s.saw(self.template, {"name": "orders.html"}, site=self.site("orders", 6))
        s.saw(self.odd, {"thing": "a [bracket]", "size": None}, {"more": 1})
        if status >= 500:
            s.raises(self.raised(), self.site("orders", 6))
        else:
            s.ret()
        if end:
            s.plugin_end({"status": status, "view": "shop.views.orders"})
            trace.end()
        return trace

    def write(self, directory: Path) -> Path:
        """Write it; the store's path."""
        return self.process.write(directory)


__all__ = ["CUSTOMER", "SELECT", "Definition", "Kind", "Shop"]
