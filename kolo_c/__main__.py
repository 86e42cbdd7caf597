"""``python -m kolo_c`` is ``kolo-c``."""

from __future__ import annotations

import os
import sys


def _leave_working_directory() -> None:
    """Import nothing of ours from the folder that the command was given in.

    ``python -m`` puts it first, where a file named ``argparse.py`` would be taken for
    the library's. The runner puts the program's own folder there again.
    """
    safe = sys.version_info >= (3, 11) and sys.flags.safe_path
    if not safe and sys.path and sys.path[0] == os.getcwd():
        sys.path[0] = os.path.dirname(os.__file__)


if __name__ == "__main__":
    _leave_working_directory()
    from kolo_c.cli.main import main  # only now: see above

    sys.exit(main())
