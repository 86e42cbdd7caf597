"""SQL statements: which are the same but for their values, and one in several lines.

One pass over the text, no parser: what is a literal, a placeholder, a comment or a word
is enough for both, in every dialect.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import re

_LONGEST = 20_000
_TOKEN = re.compile(
    r"""
    (?P<space>\s+ | --[^\n]* | /\*.*?(?:\*/|\Z) | \#\s[^\n]*)
  | (?P<quoted>"(?:[^"]|"")*(?:"|\Z) | `[^`]*(?:`|\Z) | \[[^\]\n'\[]{0,128}\])
  | (?P<value>[eEbBxXnN]?'(?:[^'\\]|\\.|'')*(?:'|\Z)
        | \$((?:[A-Za-z_]\w*)?)\$.*?(?:\$\4\$|\Z)
        | %s | %\(\w+\)s | \$\d+ | \?\d* | (?<![:\w]):\w+
        | (?<![\w.])(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?))
  | (?P<word>[^\W\d][\w$]*)
  | (?P<other>::|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_LIST = re.compile(r"\( ?\?(?: ?, ?\?)* ?\)")
_ROWS = re.compile(r"\(\?\)(?: ?, ?\(\?\))+")
_LINES = frozenset(
    "FROM WHERE GROUP ORDER HAVING LIMIT OFFSET UNION INTERSECT EXCEPT VALUES SET "
    "RETURNING WINDOW FOR".split()
)
_JOINS = frozenset("LEFT RIGHT INNER FULL OUTER CROSS NATURAL JOIN".split())
_LINKS = frozenset(("AND", "OR"))
_SHORT = 72


def shape(text: str) -> str:
    """The statement without its values: ``WHERE id = ?``, ``IN (?)`` for any list.

    White space and comments are one blank, or none.
    """
    parts: list[str] = []
    for match in _TOKEN.finditer(text, 0, _LONGEST):
        kind = match.lastgroup
        if kind == "space":
            if parts and parts[-1] != " ":
                parts.append(" ")
        elif kind == "value":
            parts.append("?")
        else:
            parts.append(match.group())
    found = _LIST.sub("(?)", "".join(parts).strip(" ;"))
    return _ROWS.sub("(?)", found)


def in_lines(text: str) -> list[str]:
    """The statement with a line for each of its clauses; one that has lines already
    keeps them, and so does a short one."""
    if "\n" in text.strip() or len(text) <= _SHORT:
        return [line.rstrip() for line in text.strip("\n").splitlines()] or [""]
    lines: list[list[str]] = [[]]
    depth = 0
    before = ""
    between = False
    for match in _TOKEN.finditer(text):
        token = match.group()
        depth += (token == "(") - (token == ")")
        if match.lastgroup == "word":
            word = token.upper()
            joins = word in _JOINS and before not in _JOINS
            links = word in _LINKS and not (word == "AND" and between)
            if depth <= 0 and (joins or links or word in _LINES):
                lines.append(["  "] if links else [])
            # Of a BETWEEN the first AND that follows is its own.
            between = word == "BETWEEN" or (between and word != "AND")
            before = word
        lines[-1].append(" " if match.lastgroup == "space" else token)
    shown = ["".join(line).rstrip() for line in lines]
    return [
        line if line.startswith("  ") else line.lstrip() for line in shown if line
    ] or [""]
