"""The numbers of the wire format are the same in C, in Python and on their page."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path

import pytest

from kolo_c import wire

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "reference" / "wire-format.md").read_text(encoding="utf-8")


def header(name: str) -> str:
    """Text of a header of src/plain."""
    return (ROOT / "src" / "plain" / name).read_text(encoding="utf-8")


def c_enum(name: str, prefix: str) -> dict[str, int]:
    """The members of an enum in wire.h, without ``prefix``."""
    found = re.search(rf"enum {name} \{{(.*?)\}};", header("wire.h"), re.DOTALL)
    assert found, f"no enum {name}"
    members = re.findall(rf"{prefix}(\w+) = (\d+)", found[1])
    assert len(members) == found[1].count(",") + 1, "each member says its number"
    return {member: int(number) for member, number in members}


def c_define(header_name: str, name: str) -> int:
    """The number that a macro stands for."""
    found = re.search(rf"#define {name} (\w+)", header(header_name))
    assert found, f"no {name}"
    return int(found[1].rstrip("u"), 0)


def page_table(heading: str) -> dict[str, int]:
    """Names and numbers of the first table below ``heading``."""
    section = re.split(rf"^#+ {heading}$", PAGE, flags=re.MULTILINE)[1]
    section = re.split(r"^#", section, flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", section, re.MULTILINE)
    return {name: int(number) for number, name in rows}


def python_enum(enum: type[IntEnum]) -> dict[str, int]:
    """Names and numbers."""
    return {member.name: member.value for member in enum}


@pytest.mark.parametrize(
    ("enum", "c_name", "prefix", "heading"),
    [
        (wire.Kind, "kc_kind", "KC_KIND_", "Records"),
        (wire.Mark, "kc_mark", "KC_MARK_", "Marks"),
        (wire.Tag, "kc_tag", "KC_TAG_", "Values"),
        (wire.Definition, "kc_definition", "KC_DEF_", "Definitions"),
    ],
)
def test_an_enumeration_is_the_same_in_three_places(
    enum: type[IntEnum], c_name: str, prefix: str, heading: str
) -> None:
    expected = python_enum(enum)
    assert c_enum(c_name, prefix) == expected
    assert page_table(heading) == expected
    assert len(set(expected.values())) == len(expected)


def test_sizes_are_the_same_in_c_and_python() -> None:
    assert c_define("wire.h", "KC_WIRE_TAG_EXTENSION") == wire.TAG_EXTENSION
    assert c_define("block.h", "KC_BLOCK_BYTES") == wire.BLOCK_BYTES
    assert c_define("block.h", "KC_BLOCK_HEADER_BYTES") == wire.BLOCK_HEADER_BYTES
    assert c_define("block.h", "KC_BLOCK_MAGIC") == wire.BLOCK_MAGIC
    assert c_define("block.h", "KC_RECORD_MAX_BYTES") == wire.RECORD_MAX_BYTES
    assert c_define("mapping.h", "KC_MAPPING_HEADER_BYTES") == wire.MAPPING_HEADER_BYTES


def test_sizes_are_on_the_page() -> None:
    assert f"Wire format, version {wire.WIRE_VERSION}\n" in PAGE
    assert f"`ext({wire.TAG_EXTENSION}, tag)`" in PAGE
    assert f"magic 0x{wire.BLOCK_MAGIC:08x}" in PAGE
    assert f"magic `{wire.MAPPING_MAGIC.decode()}`" in PAGE
    assert f"header page of {wire.MAPPING_HEADER_BYTES} bytes" in PAGE
    assert f"at most {wire.RECORD_MAX_BYTES // 1024} KiB" in PAGE
    assert f"{wire.BLOCK_BYTES // 1024} KiB in the mapping" in PAGE


def test_the_blocks_layout_on_the_page_is_without_holes() -> None:
    section = PAGE.split("\n## Block\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| (\d+) \|", section, re.MULTILINE)
    at = 0
    for offset, size in rows:
        assert int(offset) == at
        at += int(size)
    assert at == wire.BLOCK_HEADER_BYTES


def test_the_sets_of_kinds_are_those_of_the_page() -> None:
    def named(pattern: str) -> set[str]:
        found = re.search(pattern, PAGE)
        assert found, pattern
        return set(re.findall(r"[A-Z_]{3,}", found[1]))

    assert named(r"- ([A-Z, ]+and PLUGIN) are \*\*nodes") == {
        kind.name for kind in wire.NODE_KINDS
    }
    assert named(r"- ([A-Z, ]+) push the node") == {k.name for k in wire.PUSH_KINDS}
    assert named(r"\. (RETURN, [A-Z_,\s]+) take the top off") == {
        kind.name for kind in wire.END_KINDS
    }
