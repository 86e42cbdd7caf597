"""A resolved record for a person and for JSON, and the source line that it belongs to.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgpack

from kolo_c.store import records as r
from kolo_c.validate.resolve import Pairs, Record
from kolo_c.wire import END_KINDS, PUSH_KINDS, Kind, Mark, Tag

if TYPE_CHECKING:
    from kolo_c.store.definitions import Definitions
    from kolo_c.store.reader import Stream

_FIELDS: dict[int, tuple[str, ...]] = {
    Kind.CALL: ("code", "site", "arguments"),
    Kind.RETURN: ("value", "locals"),
    Kind.RAISE: ("exception", "offset", "locals"),
    Kind.YIELD: ("value", "offset"),
    Kind.RESUME: ("thread", "node", "code", "site"),
    Kind.THROW: ("thread", "node", "code", "site", "exception"),
    Kind.ENTERED: ("code", "offset"),
    Kind.HANDLED: ("thread", "node", "exception"),
    Kind.CAUGHT: ("thread", "node", "raised", "offset", "exception"),
    Kind.TASK: ("task",),
    Kind.REGION: ("name", "values"),
    Kind.REGION_END: ("exception",),
    Kind.NOTE: ("text", "values"),
    Kind.LOG: ("level", "logger", "text", "site"),
    Kind.PLUGIN: ("plugin", "values", "site"),
    Kind.PLUGIN_END: ("values", "exception"),
    Kind.MARK: ("mark", "value", "depth"),
}
_LISTS = ("arguments", "locals")  # the last field, of as many values as there are


def record_json(record: Record) -> dict[str, Any]:
    """The fields by name."""
    kind = record[0]
    found: dict[str, Any] = {"kind": Kind(kind).name, "dt": record[1]}
    names = _FIELDS[kind]
    for at, name in enumerate(names, 2):
        if name in _LISTS:
            found[name] = [value_json(value) for value in record[at:]]
        elif at < len(record):
            found[name] = value_json(record[at])
    if names[-1] not in _LISTS and len(record) > len(names) + 2:
        found["more"] = [value_json(value) for value in record[len(names) + 2 :]]
    if kind == Kind.MARK and found["mark"] in set(Mark):
        found["mark"] = Mark(found["mark"]).name
    return found


def value_json(value: Any) -> Any:
    """A value for JSON: what it cannot say is an object with the key ``$``."""
    kind = value.__class__
    if kind is list:
        if value and value[0].__class__ is msgpack.ExtType:
            items = [value_json(item) for item in value[1:]]
            return {"$": _tag_name(value[0]), "items": items}
        return [value_json(item) for item in value]
    if kind is Pairs:
        pairs = [[value_json(key), value_json(item)] for key, item in value.pairs]
        return {"$": "DICT", "pairs": pairs}
    if kind is bytes:
        return {"$": "bytes", "hex": value.hex()}
    if kind is float and value - value != 0:
        return {"$": "float", "value": repr(value)}
    return value


def _tag_name(mark: Any) -> str:
    tag = mark.data[0] if len(mark.data) == 1 else -1
    return Tag(tag).name if tag in set(Tag) else f"tag {tag}"


def narrow(first: Any, second: Any) -> tuple[str, Any, Any]:
    """The first place where two values of JSON differ: where it is, and what is there.

    It is empty where they differ as a whole.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        for key in dict.fromkeys([*first, *second]):
            step = _step(f".{key}", first.get(key), second.get(key))
            if step is not None:
                return step
    if isinstance(first, list) and isinstance(second, list):
        for at, (one, other) in enumerate(zip(first, second, strict=False)):
            step = _step(f"[{at}]", one, other)
            if step is not None:
                return step
        at = min(len(first), len(second))
        return f"[{at}]", _item(first, at), _item(second, at)
    return "", first, second


def _step(name: str, first: Any, second: Any) -> tuple[str, Any, Any] | None:
    if json.dumps(first) == json.dumps(second):  # 1 is not True here
        return None
    path, one, other = narrow(first, second)
    return name + path, one, other


def _item(items: list[Any], at: int) -> Any:
    return items[at] if at < len(items) else "nothing"


def source_line(stream: Stream, index: int) -> str:
    """``file:line  text`` of where a stream's record came about; empty: not known."""
    definitions = stream.trace.definitions
    codes: list[int | None] = []
    for at, record in enumerate(stream.records()):
        if at == index:
            place = _place(record, codes, definitions)
            break
        _follow(record, codes, definitions)
    else:
        place = None
        code = next((code for code in reversed(codes) if code is not None), None)
        if code is not None:
            row = definitions.code(code)
            place = definitions.recorded_path(row.file), row.first_line
    path, line = place or ("", None)
    if line is None:
        return ""
    text = stream.trace.process.source(path)
    lines = (text or b"").decode("utf-8", "replace").splitlines()
    shown = lines[line - 1].rstrip() if 0 < line <= len(lines) else ""
    return f"{path}:{line}  {shown}".rstrip()


def _follow(
    record: r.Record, codes: list[int | None], definitions: Definitions
) -> None:
    if record.kind in PUSH_KINDS:
        codes.append(record.code if isinstance(record, (r.Call, r.Entered)) else None)
    elif isinstance(record, (r.Resume, r.Throw)):
        known = definitions.is_code(record.code)
        codes.append(record.code if known else None)
    elif record.kind == Kind.YIELD or record.kind in END_KINDS:
        del codes[-1:]
    elif isinstance(record, r.MarkRecord) and record.depth is not None:
        del codes[record.depth :]


def _place(
    record: r.Record, codes: list[int | None], definitions: Definitions
) -> tuple[str, int | None] | None:
    top = next((code for code in reversed(codes) if code is not None), None)
    if isinstance(
        record, (r.Call, r.Resume, r.Throw, r.Entered)
    ) and definitions.is_code(record.code):
        row = definitions.code(record.code)
        path = definitions.recorded_path(row.file)
        if isinstance(record, r.Entered):
            return path, definitions.line(record.code, record.offset)
        return path, row.first_line
    if top is None:
        return None
    row = definitions.code(top)
    path = definitions.recorded_path(row.file)
    if isinstance(record, (r.Raise, r.Yield)):
        return path, definitions.line(top, record.offset) or row.first_line
    return path, row.first_line
