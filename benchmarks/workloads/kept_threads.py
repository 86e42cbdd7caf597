"""The first kept call, in eight threads at once."""

from benchmarks.workloads.kept_small import ENTRIES, RECORDS, run

__all__ = ["ENTRIES", "RECORDS", "THREADS", "run"]

THREADS = 8
