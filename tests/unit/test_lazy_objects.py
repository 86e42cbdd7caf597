"""Objects that find what they stand for when they are asked: handlers do not ask."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kolo_c.plugins.builtin.bodies import remember
from kolo_c.plugins.builtin.django import request_headers
from kolo_c.plugins.builtin.django_signals import _sender
from kolo_c.plugins.builtin.django_streams import Pieces, _Stream
from kolo_c.plugins.builtin.logs import said
from kolo_c.plugins.summary import summarise
from kolo_c.scope import SCOPE


class Lazy:
    """As Django's SimpleLazyObject, which `request.user` is."""

    def _asked(self, *_: Any) -> Any:
        raise AssertionError("asked")

    __class__ = property(_asked)  # type: ignore[assignment]
    __str__ = __repr__ = __len__ = __iter__ = __getitem__ = __eq__ = _asked
    __hash__ = None  # type: ignore[assignment]


def test_the_sender_of_a_signal_is_told_by_its_type() -> None:
    assert _sender(Lazy()) == f"{__name__}.Lazy"
    assert _sender(Lazy) == f"{__name__}.Lazy"
    assert _sender("shop") == "shop"


def test_the_text_of_what_is_no_exception_is_its_type() -> None:
    assert said(Lazy()) == f"<{__name__}.Lazy>"


def test_the_name_of_a_trace_has_the_type_of_an_object() -> None:
    fields = {"order": Lazy(), "status": 200, "ok": True, "ratio": 0.5}
    line = summarise("{order} {status} {ok} {ratio}[ {none}]", fields)
    assert line == f"<{__name__}.Lazy> 200 True 0.5"


def test_the_headers_of_a_request_are_not_asked() -> None:
    tenant = Lazy()
    meta = {"HTTP_X_TENANT": tenant, "CONTENT_TYPE": "", "CONTENT_LENGTH": "3"}
    found = request_headers(meta)
    assert list(found) == ["X-Tenant", "Content-Length"]
    assert found["X-Tenant"] is tenant


def test_what_stands_in_a_form_is_looked_at_by_its_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hidden: list[Any] = []

    def hides(name: str, value: object) -> bool:
        hidden.append((name, type(value) is str))
        return name == "password"

    native = SimpleNamespace(hides=hides)
    monkeypatch.setattr(
        SCOPE, "session", SimpleNamespace(native=native, plugins=None, config=None)
    )
    remember({"user": Lazy(), "password": Lazy(), "a": [Lazy(), {"b": Lazy()}]})
    remember(Lazy())
    assert ("password", False) in hidden


class Peculiar(bytes):
    def __getitem__(self, _: Any) -> Any:
        raise AssertionError("asked")


def test_a_stream_of_any_pieces_goes_to_the_program_as_it_is() -> None:
    released = memoryview(b"gone")
    released.release()
    several = memoryview(bytes(4)).cast("B", (2, 2))
    given = ["ü", b"plain", Lazy(), Peculiar(b"own"), 7, released, several]
    stream: Any = _Stream(SimpleNamespace(), 1, {})  # type: ignore[arg-type]
    pieces = list(Pieces(iter(given), stream))
    assert [id(piece) for piece in pieces] == [id(piece) for piece in given]
    assert stream._copy.begin.startswith("ü".encode() + b"plain")
