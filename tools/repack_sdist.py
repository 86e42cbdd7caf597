"""Write an sdist anew so that the same sources always give the same bytes.

    SOURCE_DATE_EPOCH=… python tools/repack_sdist.py DIST.tar.gz

setuptools keeps the times, users and order of this machine, and gzip the time of day.
"""

from __future__ import annotations

import gzip
import io
import os
import sys
import tarfile
from pathlib import Path


def repack(path: Path, epoch: int) -> None:
    """Replace the archive at ``path``."""
    tar = io.BytesIO()
    with (
        tarfile.open(path) as old,
        tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime = epoch
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            executable = member.isdir() or member.mode & 0o100
            member.mode = 0o755 if executable else 0o644
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isreg() else None)
    packed = gzip.compress(tar.getvalue(), compresslevel=9, mtime=epoch)
    path.write_bytes(packed)


if __name__ == "__main__":
    if len(sys.argv) != 2 or "SOURCE_DATE_EPOCH" not in os.environ:
        raise SystemExit(__doc__)
    repack(Path(sys.argv[1]), int(os.environ["SOURCE_DATE_EPOCH"]))
