"""Write docs/reference/cli.md from the commands' own parsers.

``--check`` compares instead, and ends with 1 where the page is not up to date.

Threads: one. Owns: nothing. Fails: OSError.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kolo_c.cli.main import COMMANDS, load_command  # noqa: E402 - the path comes first
from kolo_c.cli.parser import build_parser  # noqa: E402 - the path comes first

PAGE = ROOT / "docs" / "reference" / "cli.md"
HEAD = """\
# Commands

<!-- Made by tools/generate_cli.py from the commands: change them. -->

`kolo-c COMMAND --help` prints each of these. Data goes to stdout, messages to stderr.
A TRACE is any unique ending of a trace's id, 3 characters or more; without one it is
the newest. TRACE/153 is node 153 of its first thread, TRACE/2.153 of its second.

Exit codes: 0 done, 1 it failed or found nothing, 2 wrong usage; `kolo-c run` ends as
the program does, and a `kolo-c list` without a trace in it with 0. Colours are for
terminals alone, and not where `NO_COLOR` is set or `TERM` is `dumb`.
"""


def page() -> str:
    """The whole page."""
    lines = [HEAD]
    lines += [
        f"- [`{name}`](#kolo-c-{name}): {text}" for name, text in COMMANDS.items()
    ]
    lines.append("")
    for name in COMMANDS:
        lines.extend(_section(name))
    return "\n".join(lines)


def _section(name: str) -> Iterator[str]:
    command = load_command(name)
    yield f"## kolo-c {name}"
    yield ""
    yield from _prose(inspect.cleandoc(type(command).__doc__ or ""))
    yield ""
    parser = build_parser(command)
    rows = [row for row in map(_row, parser._actions) if row]
    if rows:
        yield from ("| | |", "|---|---|", *rows, "")


def _prose(text: str) -> Iterator[str]:
    """The docstring; what is indented, or a table of usage, stays as it stands."""
    for part in text.split("\n\n"):
        lines = part.splitlines()
        if any(line.startswith(("usage:", " ")) or "  " in line for line in lines):
            yield from ("```text", *lines, "```", "")
        else:
            yield from (*(_escaped(line) for line in lines), "")


def _row(action: argparse.Action) -> str:
    if action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
        return ""
    value = action.metavar
    if value is None and action.nargs != 0:
        value = "|".join(map(str, action.choices)) if action.choices else action.dest
    names = ", ".join(action.option_strings)
    words = " ".join(part for part in (names, _value(value)) if part)
    text = (action.help or "").replace("%%", "%")
    return f"| `{words.replace('|', chr(92) + '|')}` | {_escaped(text)} |"


def _value(value: str | tuple[str, ...] | None) -> str:
    return " ".join(value) if isinstance(value, tuple) else value or ""


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")


def main() -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    args = parser.parse_args()
    text = page()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if args.check:
        print(f"{PAGE} is not up to date: run `make generate`", file=sys.stderr)
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
