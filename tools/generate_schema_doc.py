"""Write docs/reference/schema.md from kolo_c/store/schema.sql.

``--check`` compares instead, and ends with 1 where the page is not up to date.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "kolo_c" / "store" / "schema.sql"
PAGE = ROOT / "docs" / "reference" / "schema.md"
VERSIONS = ROOT / "kolo_c" / "_version.py"

OPENING = """\
# Schema of a segment, version {version}

*Generated from `kolo_c/store/schema.sql` by `tools/generate_schema_doc.py`.*

A segment is one SQLite file, written by one process:
`.kolo_c/segments/PROCESS-N.db`. It may be opened with any SQLite tool while the process
runs (WAL mode); only its owner writes to it. The version is `PRAGMA user_version`. What
stands inside the BLOBs is said in [wire-format.md](wire-format.md).

Times: `*_ns` are monotonic nanoseconds of the process, `*_utc_ns` are nanoseconds since
1970.
"""


@dataclass
class Column:
    """One column of a table."""

    name: str
    kind: str
    rules: str
    comment: str


@dataclass
class Table:
    """One table, with what stands above and in it."""

    name: str
    comment: str
    columns: list[Column] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)


def tables(text: str) -> Iterator[Table]:
    """The tables of the schema, in its order."""
    comment: list[str] = []
    table: Table | None = None
    for line in text.splitlines():
        bare = line.strip()
        if table is None:
            opened = re.match(r"CREATE TABLE (\w+) \(", bare)
            if opened:
                table = Table(opened[1], " ".join(comment))
                comment = []
            elif bare.startswith("--"):
                comment.append(bare[2:].strip())
            else:
                comment = []
        elif bare.startswith(")"):
            yield table
            table = None
        elif bare:
            add_line(table, bare)


def add_line(table: Table, line: str) -> None:
    """A column, a constraint, or a comment that goes on."""
    code, _, comment = (part.strip() for part in line.partition("--"))
    code = code.removesuffix(",")
    column = re.match(r"(\w+) +(TEXT|INTEGER|BLOB|REAL)\b *(.*)", code)
    if column:
        table.columns.append(Column(column[1], column[2], column[3], comment))
    elif code:
        table.constraints.append(code)
    elif table.columns:
        table.columns[-1].comment += f" {comment}"


def cell(text: str) -> str:
    """``text`` inside a Markdown table."""
    return text.replace("|", "\\|")


def page(text: str, version: int) -> str:
    """The whole page."""
    lines = [OPENING.format(version=version)]
    for table in tables(text):
        lines.append(f"## {table.name}\n")
        if table.comment:
            lines.append(f"{table.comment}\n")
        lines += ["| column | type | | |", "|---|---|---|---|"]
        for column in table.columns:
            rules = column.rules.replace("PRIMARY KEY", "primary key")
            rules = rules.replace("NOT NULL", "not null").replace("UNIQUE", "unique")
            cells = (f"`{column.name}`", column.kind, rules, cell(column.comment))
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
        lines += [f"`{constraint}`\n" for constraint in table.constraints]
    return "\n".join(lines).rstrip() + "\n"


def schema_version() -> int:
    """SCHEMA_VERSION of kolo_c/_version.py, without importing the package."""
    found = re.search(
        r"^SCHEMA_VERSION = (\d+)$", VERSIONS.read_text(encoding="utf-8"), re.MULTILINE
    )
    if found is None:
        raise SystemExit(f"{VERSIONS}: no SCHEMA_VERSION")
    return int(found[1])


def main() -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    options = parser.parse_args()
    wanted = page(SCHEMA.read_text(encoding="utf-8"), schema_version())
    if not options.check:
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == wanted:
        return 0
    print(
        f"{PAGE.relative_to(ROOT)} is not what {SCHEMA.relative_to(ROOT)} says: "
        "run `make generate`",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
