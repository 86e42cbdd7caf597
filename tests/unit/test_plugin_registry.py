"""Which plugins a session has: what the setting adds and leaves out."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from kolo_c.errors import PluginError
from kolo_c.plugins import registry as module
from kolo_c.plugins.builtin.table import BUILTIN
from kolo_c.plugins.registry import Registry

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "plugins.md"


class Native:
    """In the core's place: remembers which plugins it was told of."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def add_plugin(self, name: str) -> int:
        self.names.append(name)
        return len(self.names) - 1

    def watch(self, *rule: object) -> None:
        pass

    def define_plugin(self, *definition: object) -> None:
        pass

    def plugin_stats(self) -> list[tuple[Any, ...]]:
        return []


def started(
    monkeypatch: pytest.MonkeyPatch, chosen: list[str], *sources: object
) -> Registry:
    monkeypatch.setattr(module, "CODE_PLUGINS", list(sources))
    registry = Registry(Native(), chosen)
    registry.start()
    registry.stop()
    return registry


def names_of(registry: Registry) -> set[str]:
    return set(registry._native.names)


PAYMENT = {"name": "payment", "watch": "shop:pay"}


def test_a_plugin_is_left_out_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = names_of(started(monkeypatch, [], PAYMENT))
    registry = started(monkeypatch, ["-payment", "-redis"], PAYMENT)
    assert everything - names_of(registry) == {"payment", "redis"}
    assert registry.all_problems() == []


def test_several_are_left_out_by_how_they_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = started(monkeypatch, ["-celery*", "-huey*"])
    left_out = names_of(started(monkeypatch, [])) - names_of(registry)
    assert left_out == {"celery", "celery-enqueue", "huey", "huey-enqueue"}
    assert registry.all_problems() == []


def test_a_name_that_no_plugin_has_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = started(monkeypatch, ["-radis", "-payment"])
    assert registry.all_problems() == [
        'plugins has "-radis", but there is no plugin of this name',
        'plugins has "-payment", but there is no plugin of this name',
    ]
    registry.add(PAYMENT)  # by the program, later
    assert len(registry.all_problems()) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nowhere:Payment", "ModuleNotFoundError: No module named 'nowhere'"),
        ("json:Payment", "AttributeError: module 'json' has no attribute 'Payment'"),
        ("json", "plugins has 'json', which is not MODULE:NAME"),
        ("json:JSONDecoder", "the plugin JSONDecoder has no watch"),
    ],
)
def test_what_is_no_plugin_is_a_problem_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch, text: str, problem: str
) -> None:
    registry = started(monkeypatch, [text], PAYMENT)
    (said,) = registry.all_problems()
    assert said.endswith(problem)
    assert "payment" in names_of(registry)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"watch": "shop"}, "watches 'shop', which is neither MODULE:QUALNAME nor"),
        ({"watch": "a:b", "boundary": True}, "is a boundary, and must have a kind"),
        ({"watch": "a:b", "kinds": 1}, "has no setting 'kinds'"),
        ({"watch": "a:b", "kind": {"name": "A"}}, "kind 'A': lower-case letters"),
        ({"watch": "a:b", "kind": {"name": "a", "colour": "mud"}}, "colour 'mud'"),
        ({"watch": "a:b", "kind": {"label": "a"}}, "kind: "),
        ({"watch": "a:b", "limits": (1, 2)}, "limits are four whole numbers"),
        ({"watch": "a:b", "start": 3}, "start must be a function, not int"),
        ({"watch": ["a:b", 3]}, "watch must be a text or several"),
    ],
)
def test_an_error_says_what_is_wrong_and_where_examples_are(
    source: dict[str, object], problem: str
) -> None:
    with pytest.raises(PluginError) as caught:
        Registry(Native()).add({"name": "mine", **source})
    assert caught.value.message.startswith("the plugin mine ")
    assert problem in caught.value.message
    assert "docs/howto/plugins.md" in caught.value.hint


def test_a_dict_may_have_all_that_a_class_may() -> None:
    registry = Registry(Native())
    registry.add(
        {
            "watch": "a:b",
            "kind": {"name": "a"},
            "boundary": True,
            "holds": bool,
            "stored": lambda fields, failed: failed,
            "settings": lambda fields: None,
        }
    )
    assert registry.plugin(0).settings is not None


def test_the_page_names_the_built_in_ones_and_no_others() -> None:
    table = PAGE.read_text(encoding="utf-8").split("### Built-in ones")[1]
    shown = re.findall(r"`([^`]+)`", table.split("\n\n")[1])
    names = [line[0] for line in BUILTIN]
    for pattern in shown:
        assert any(fnmatchcase(name, pattern) for name in names), pattern
    unnamed = {
        name for name in names if not any(fnmatchcase(name, one) for one in shown)
    }
    assert unnamed == set()
