"""What ``kolo_c.start`` names: Python 3.15 imports it at each start, so it is short.

PYTEST_DONT_REWRITE: see kolo_c/__init__.py.
"""

import os


def start() -> None:
    """Record this process, where ``KOLO_C`` says so."""
    if os.environ.get("KOLO_C", "0") != "0":
        from kolo_c.integrations import startup  # noqa: PLC0415 - only then

        startup.start()
