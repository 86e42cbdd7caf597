"""``python -m kolo_c`` is ``kolo-c``."""

from __future__ import annotations

import sys

from kolo_c.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
