"""The plain half of the Python core: blocks from a stream to SQLite, and from a dead
process's mapping.
"""

from __future__ import annotations

from kolo_c.reference.status import Status
from tests.unit.reference_rig import Rig, ask, check_records


def test_every_record_gets_into_the_segment(tmp_path):
    rig = Rig(tmp_path).start()
    rig.write(20_000)
    rig.end_trace(1)
    assert rig.finish() is Status.OK
    assert check_records(tmp_path) == 20_000
    assert ask(tmp_path, "SELECT status, cause, name FROM trace") == [
        ("complete", "exit", "renamed")
    ]
    assert ask(tmp_path, "SELECT cause, pid > 0 FROM process") == [("exit", 1)]
    assert list(tmp_path.glob("*.map*")) == []
