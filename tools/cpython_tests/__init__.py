"""Run CPython's own test files with and without tracing, and say what differs.

``python -m tools.cpython_tests --help`` has the command. The interpreter at hand runs
its own ``test`` package: once as it is, and once under ``kolo-c run`` for each hook and
core, with everything kept, the test files and the standard library too. The same tests
have to pass, fail and be skipped. What differs for a reason that is CPython's own
stands in ``known.py``.
"""
