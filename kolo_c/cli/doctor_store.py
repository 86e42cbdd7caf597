"""``kolo-c doctor --store``: what is wrong with the files, and what can be saved.

Threads: one at a time. Owns: nothing, and writes nothing. Fails: KoloError where there
is no store; what is wrong with a file is a finding.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path

from kolo_c.cli.findings import INFO, OK, PROBLEM, Finding, print_findings
from kolo_c.cli.units import plural, size
from kolo_c.errors import harmless
from kolo_c.store import checkup
from kolo_c.store.catalogue_file import CatalogueFile, CatalogueUnusable
from kolo_c.store.checkup import Checked, check_segment, check_store
from kolo_c.store.exported import AGAIN, check_exported
from kolo_c.store.locate import find_store
from kolo_c.store.rescue import DAMAGED_NAME

_LEVELS = {checkup.OK: OK, checkup.RUNNING: OK}
_NAMES_SHOWN = 3


def look_at_store(args: argparse.Namespace) -> int:
    """Look at every file, or at the one that ``--db`` names, and tell."""
    if args.db is not None:
        store = Path(args.db)
        files = [_check_file(store)]
        findings = list(_files(store, files))
    else:
        store = find_store()
        files = list(check_store(store))
        findings = [*_files(store, files), *_rest(store)]
    bad = [checked for checked in files if checked.state in checkup.BAD]
    if args.json:
        rows = [finding._asdict() for finding in findings]
        answer = {
            "store": str(store),
            "works": not bad,
            "files": [_as_json(checked) for checked in files],
            "findings": rows,
        }
        print(json.dumps(answer, indent=2))
    else:
        print_findings(findings)
    return int(bool(bad))


def _check_file(path: Path) -> Checked:
    """An exported file: what is wrong with it its other copy has right."""
    check_exported(path)
    checked = check_segment(Path(os.path.realpath(path)))
    if checked.state not in checkup.BAD:
        return checked
    return Checked(path, checked.state, checked.said, AGAIN)


def _as_json(checked: Checked) -> dict[str, object]:
    salvage = checked.salvage
    answer: dict[str, object] = {
        "path": str(checked.path),
        "state": checked.state,
        "said": harmless(checked.said),
        "hint": checked.hint,
    }
    if salvage is not None:
        answer["traces"] = [row.id for row in salvage.traces.values()]
        answer["blocks"] = sum(1 for _ in salvage.blocks())
        answer["blocks_known"] = len(salvage.rows["block"])
    return answer


def _files(store: Path, files: list[Checked]) -> Iterator[Finding]:
    whole = [each for each in files if each.state in _LEVELS]
    yield Finding(OK, "store", f"{store}: {plural(len(whole), 'file')} whole")
    for checked in files:
        if checked.state in _LEVELS:
            continue
        level = PROBLEM if checked.state in checkup.BAD else INFO
        text = harmless(f"{checked.path}: {checked.said}")
        if checked.salvage is not None:
            text = f"{text}; {_savable(checked)}"
        yield Finding(level, checked.state, text, checked.hint)


def _savable(checked: Checked) -> str:
    """What of a damaged segment can be saved."""
    salvage = checked.salvage
    assert salvage is not None
    blocks = sum(1 for _ in salvage.blocks())
    if not salvage.is_ours:
        return "nothing of it can be saved"
    names = [harmless(row.name) for row in salvage.traces.values()]
    more = ", …" if len(names) > _NAMES_SHOWN else ""
    listed = f" ({', '.join(names[:_NAMES_SHOWN])}{more})" if names else ""
    return (
        f"can be saved: {plural(len(names), 'trace')}{listed}, {blocks:,} of "
        f"{plural(len(salvage.rows['block']), 'block')}"
    )


def _rest(store: Path) -> Iterator[Finding]:
    """What is beside the segments."""
    catalogue = CatalogueFile(store)
    try:
        catalogue.known()
    except CatalogueUnusable:
        text = f"{catalogue.path} cannot be read"
        yield Finding(INFO, "catalogue", text, "The next kolo-c list makes another.")
    finally:
        catalogue.close()
    try:
        aside = list(os.scandir(store / DAMAGED_NAME))
        used = sum(entry.stat(follow_symlinks=False).st_size for entry in aside)
    except OSError:  # there is none, or somebody removes it
        return
    if aside:
        yield Finding(
            INFO,
            "set aside",
            f"{plural(len(aside), 'damaged file')} in {store / DAMAGED_NAME}, "
            f"{size(used)}",
            "What could be read of them was saved: they may be removed.",
        )
