"""``python -m tools.cpython_tests [options] [TEST…]``."""

from __future__ import annotations

import sys

from tools.cpython_tests.command import main

if __name__ == "__main__":
    sys.exit(main())
