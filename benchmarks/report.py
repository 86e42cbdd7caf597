"""Results as a table on the screen and as JSON in ``benchmarks/results``.

Threads: any. Owns: nothing. Fails: OSError, where the file cannot be written.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

from benchmarks.results import Figure, Row

RESULTS = Path(__file__).with_name("results")


def as_dict(figure: Figure, origin: dict[str, Any]) -> dict[str, Any]:
    """A result with where it comes from."""
    return {
        "figure": figure.name,
        "title": figure.title,
        "method": figure.method,
        **origin,
        "rows": [row.as_dict() for row in figure.rows],
    }


def save(result: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Write ``VERSION-NAME.json``, in place of the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{platform.python_version()}-{result['figure']}.json"
    text = json.dumps(_rounded(result), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def lines(figure: Figure) -> list[str]:
    """The table, as it is printed."""
    found = [f"{figure.name}: {figure.title}"]
    width = max(len(row.name) for row in figure.rows)
    for row in figure.rows:
        found.append(f"  {row.name:{width}}  {_line(row)}")
        if row.values:
            beside = (f"{key} {value:,.4g}" for key, value in row.values.items())
            found.append(f"  {'':{width}}    {', '.join(beside)}")
    return found


def _line(row: Row) -> str:
    parts = [row.verdict.upper() if row.verdict in ("fail", "void") else row.verdict]
    if row.value is not None:
        parts.append(f"{row.value:,.3f} {row.unit}")
    if row.p99 is not None:
        # For a least, the bad end is the first percentile.
        parts.append(
            f"p99 {row.p99:,.3f}" if row.least is None else f"p1 {row.p99:,.3f}"
        )
    if row.most is not None:
        parts.append(f"at most {row.most:,.2f}")
    if row.least is not None:
        parts.append(f"at least {row.least:,.2f}")
    if row.proof is not None:
        records = sum(row.proof.read.values())
        parts.append(f"{records:,} records read back, {row.proof.lost} lost")
        parts.append(f"waited {row.proof.waited_ns / 1e6:,.1f} ms")
    if row.void:
        parts.append(row.void)
    return " · ".join(parts)


def _rounded(value: Any) -> Any:
    """Six digits: more are noise, and make every run a change of every line."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value
