"""A workload as a script: ``program_workload.py NAME TURNS``, ``NAME`` beside it."""

import importlib
import sys

if len(sys.argv) > 1:  # without: an empty program
    importlib.import_module(sys.argv[1]).run(int(sys.argv[2]))
