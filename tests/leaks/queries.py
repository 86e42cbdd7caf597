"""Open, query, fail and close connections over and over; print as steady.py does.

python tests/leaks/queries.py [rounds]
"""

from __future__ import annotations

import gc
import sys
import tempfile

from kolo_c.store.connection import DatabaseError, connect
from tests.leaks.steady import _forget_types, open_files, resident_kib

COUNT_TO = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
    "SELECT i, 'text ' || i, i / 2.0, zeroblob(i % 900), NULL FROM n"
)
WRONG = (
    ("SELECT 1; SELECT 2", ()),
    ("SELECT ?", ()),
    ("SELECT ?, ?", ("text", [])),
    ("SELECT ?", (2**70,)),
    ("SELECT * FROM nowhere", ()),
    ("SELECT abs(-9223372036854775808)", ()),
)


def work(path: str) -> None:
    """One of everything that a connection can do."""
    for _ in range(5):
        with connect(path, "rwc") as database:
            database.execute("CREATE TABLE IF NOT EXISTS t (a, b)")
            database.execute("DELETE FROM t")
            database.execute("INSERT INTO t VALUES (?, ?)", ("é\ud800" * 50, b"b" * 99))
            database.execute("INSERT INTO t VALUES (?, ?)", [1.5, None])
            assert len(database.execute("SELECT a, b, CAST(b AS TEXT) FROM t")) == 2
            assert len(database.execute(COUNT_TO, (5000,))) == 5000
            for sql, values in WRONG:
                try:
                    database.execute(sql, values)
                except DatabaseError:
                    continue
                raise AssertionError(sql)
    database = connect(path)  # closed by its end
    assert database.execute("SELECT count(*) FROM t") == [(2,)]
    try:
        connect(f"{path}/nowhere").execute("SELECT 1")
    except DatabaseError:
        pass


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    total = getattr(sys, "gettotalrefcount", lambda: 0)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            work(f"{folder}/a.db")
            gc.collect()
            _forget_types()
            print(total(), resident_kib(), open_files(), flush=True)


if __name__ == "__main__":
    main()
