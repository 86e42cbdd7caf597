"""What a doctor finds, and how it is told.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

OK, INFO, WARNING, PROBLEM = "ok", "info", "warning", "problem"


class Finding(NamedTuple):
    """One thing that was looked at."""

    level: str
    topic: str
    text: str
    hint: str = ""


def print_findings(findings: Iterable[Finding]) -> None:
    """A line each, and what to do below it."""
    for finding in findings:
        print(f"{finding.level:<8} {finding.topic}: {finding.text}")
        if finding.hint:
            print(f"{'':<8}   {finding.hint}")
