"""A store of a million tiny segments is brought within its bounds in the background.

Makes the files, runs a recorded program beside which the bounds are applied, and says
how long that took, how long the program's start was, and its longest call.

Fails: exit code 1 where too much is left, or the program was held for a second.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.environment import environment

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PROGRAM = """
import json, os, sys, time
def f(n): return n
began = time.monotonic()
worst = n = 0
most = int(sys.argv[1])
looked = began
while True:
    at = time.monotonic()
    f(n)
    worst, n = max(worst, time.monotonic() - at), n + 1
    time.sleep(0.0005)
    if at - looked > 5:
        looked = at
        if sum(1 for _ in os.scandir('.kolo_c/segments')) < most: break
        if at - began > 3600: break
print(json.dumps({'worst': worst, 'took': at - began}))
"""


def make_segments(store: Path, count: int, size: int) -> list[str]:
    """Files with names of segments; the ids of their processes, the oldest first."""
    folder = store / "segments"
    folder.mkdir(parents=True)
    content = b"x" * size
    names = []
    for number in range(count):
        name = "01K" + _base32(number, 23)
        fd = os.open(f"{folder}/{name}-0.db", os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(fd, content)
        os.close(fd)
        names.append(name)
    return names


def _base32(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        digits.append(_LETTERS[digit])
    return "".join(reversed(digits))


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    count = parser.parse_args().count
    folder = Path(tempfile.mkdtemp(prefix="kolo-c-many-"))
    try:
        began = time.monotonic()
        make_segments(folder / ".kolo_c", count, 1_000)
        print(f"{count:,} segments made in {time.monotonic() - began:.0f} s")
        (folder / "setup.py").touch()
        (folder / "program.py").write_text(_PROGRAM)
        enough = count // 9 + 2000
        # A tenth may stay, and what the program writes itself.
        environ = environment(
            KOLO_C_MAX_BYTES=str(count * 100 + (1 << 20)),
            KOLO_C_FREE_DISK_MIN_BYTES="0",
        )
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "kolo_c", "run", "program.py", str(enough)],
            cwd=folder, env=environ, capture_output=True, text=True, check=True,
        )  # fmt: skip
        took = time.monotonic() - began
        said = json.loads(done.stdout)
        left = sum(1 for _ in (folder / ".kolo_c" / "segments").glob("*.db"))
        print(
            f"{left:,} left after {said['took']:.0f} s; start and end of the program "
            f"{took - said['took']:.2f} s, longest call {said['worst'] * 1e3:.1f} ms"
        )
        return int(left > enough or said["worst"] > 1)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
