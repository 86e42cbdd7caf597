"""What recording costs: ``python -m benchmarks`` measures it, docs and README quote it.

docs/contributing/README.md says how; each ``bench_*.py`` is one figure and its method.
"""
