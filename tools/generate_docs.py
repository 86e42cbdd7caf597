"""Write the pages of the reference that are made from the code; ``--check`` compares.

    python tools/generate_docs.py           write them
    python tools/generate_docs.py --check   say which are old, and end with 1

Threads: one. Owns: nothing. Fails: OSError.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kolo_c.cli.config import toml_value  # noqa: E402 - the path comes first
from kolo_c.config import Config  # noqa: E402 - the path comes first
from kolo_c.function_rules import FunctionRule, Settings  # noqa: E402
from kolo_c.settings import Kind, format_size  # noqa: E402

_CONFIG_HEAD = """\
# Settings

<!-- Made by tools/generate_docs.py from kolo_c/config.py: change it there. -->

A setting is looked for in these places; a later one overrides the ones before:

1. the default;
2. `pyproject.toml` in the project's root, table `[tool.kolo_c]`;
3. `.kolo_c/config.toml`, without a table around it;
4. the environment: `KOLO_C_` and the key in capitals, such as `KOLO_C_LOCALS=all`.
   Lists are separated by commas; `KOLO_C_RULES` is JSON;
5. arguments: options of `kolo-c run`, where `--set KEY=VALUE` takes any key, and
   keywords of `kolo_c.trace()`.

A list in a later place replaces the list before it; `--include` and `--ignore` add to
it. `kolo-c config` prints the values in force and where each comes from. A wrong
setting stops a `kolo-c` command. A program that records itself (`kolo_c.trace()`) goes
on with the value from the places before, and the trace says so.

`KOLO_C` is not a setting but the switch: `KOLO_C=1` records any Python process from its
start, with the ones it starts ([how to](../howto/everywhere.md)); `KOLO_C=0` switches
off whatever would record: `kolo-c run`, `kolo_c.trace()`, decorators, middleware,
plugins of test runners. Without it each does what it is told. `KOLO_C_PARENT` is how a
recorded process tells those that it starts whose they are.

`KOLO_C_PATH` is not a setting but the folder that contains `.kolo_c`, where that is not
the project's root. Where `.kolo_c` cannot be written, traces go to `kolo_c` in
`$XDG_STATE_HOME` (`~/.local/state`), and the line that closes the run names the command
that reads them there.

```toml
[tool.kolo_c]
ignore_frames = ["migrations/", "qualname:*.__repr__"]
locals = "all"
max_bytes = "2 GiB"

[[tool.kolo_c.rules]]
match = "module:shop.payment"
mask = ["amount"]
```
"""
_RULES_HEAD = """\
## Rules

Each table of `[[tool.kolo_c.rules]]` says what is different for some functions. What it
does not name is as everywhere. Where several rules match, all of them hold, and for a
key that more than one has, the last. A rule does not decide what is kept: that is for
`include_frames` and `ignore_frames`.
"""


def config_page() -> str:
    """docs/reference/config.md."""
    return "\n".join(
        [_CONFIG_HEAD, *_sections(Config), _RULES_HEAD, *_sections(FunctionRule)]
    )


def _sections(table: type[Settings]) -> list[str]:
    level = "##" if table is Config else "###"
    prefix = "" if table is Config else "rules: "
    sections = []
    for name, row in table.settings.items():
        lines = [f"{level} {prefix}{name}", "", row.doc, ""]
        lines.append(f"- Value: {row.kind.words}.")
        if table is Config:
            lines.append(f"- Default: {_default(row.default, row.kind)}.")
            lines.append(f"- Environment: `KOLO_C_{name.upper()}`.")
        sections.append("\n".join([*lines, ""]))
    return sections


def _default(value: Any, kind: Kind) -> str:
    text = f"`{toml_value(value)}`"
    if kind.words.startswith("bytes") and value >= 1024:
        text += f" ({format_size(value)})"
    return text


PAGES: dict[str, Callable[[], str]] = {"docs/reference/config.md": config_page}


def main() -> int:
    """Write or compare every page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="Write nothing; compare.")
    args = parser.parse_args()
    old = []
    for name, make in PAGES.items():
        path = ROOT / name
        text = make()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        old.append(name)
        if not args.check:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    if args.check and old:
        print(f"old: {', '.join(old)}; run python tools/generate_docs.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
