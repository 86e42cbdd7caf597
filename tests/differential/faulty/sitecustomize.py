"""Puts a fault into the Python core of a process: whatever FAULT in its environment names.

Python imports a module of this name when it starts; this folder stands on PYTHONPATH of
the programs that test_faults.py compares. Only a process whose core is Python's has it.
"""

import os
import sys

_fault = os.environ.get("FAULT", "")
if _fault and "--core=python" in sys.orig_argv:
    import faults

    faults.FAULTS[_fault]()
