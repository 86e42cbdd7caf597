"""Plugins of installed packages: used wherever these are, with no setting."""

from __future__ import annotations

import pytest

from tests.integration.plugins.recording import Recorded
from tests.spec.tracing import PACKAGE_PARENT, trace_program

PROGRAM = """
    import gateway
    def buy(): return gateway.charge(3), gateway.refund(2)
    print(buy())
"""
INSTALLED = {
    "site/gateway.py": """
        def charge(amount): return f"ch_{amount}"
        def refund(amount): return -amount
    """,
    "site/gateway_tracing.py": """
        from kolo_c import Kind, Plugin

        class Payment(Plugin):
            watch = "gateway:charge"
            kind = Kind("payment", "PAYMENT", "green", "{amount} as {id}")
            def start(self, frame): return {"amount": frame.f_locals["amount"]}
            def finish(self, frame, value, exception): return {"id": value}

        refund = {
            "watch": "gateway:refund",
            "kind": {"name": "refund", "summary": "{amount} back"},
            "start": lambda frame: {"amount": frame.f_locals["amount"]},
        }
    """,
    "site/gateway_tracing-1.0.dist-info/METADATA": (
        "Metadata-Version: 2.1\nName: gateway-tracing\nVersion: 1.0\n"
    ),
    "site/gateway_tracing-1.0.dist-info/entry_points.txt": (
        "[kolo_c.plugins]\npayment = gateway_tracing:Payment\n"
        "refund = gateway_tracing:refund\nbroken = gateway_gone:Plugin\n"
    ),
}


@pytest.mark.parametrize("core", ["c", "python"])
@pytest.mark.parametrize(
    ("chosen", "kinds"),
    [([], {"payment", "refund"}), (["-Payment"], {"refund"}), (["-ref*"], {"payment"})],
)
def test_they_are_used_unless_they_are_left_out(core, chosen, kinds, tmp_path):
    traced = trace_program(
        tmp_path,
        core,
        "auto",
        PROGRAM,
        files=INSTALLED,
        config={"plugins": chosen, "ignore_frames": ["module:gateway*"]},
        env={"PYTHONPATH": f"{tmp_path / 'site'}:{PACKAGE_PARENT}"},
    )
    assert traced.stdout == "('ch_3', -2)\n"
    recorded = Recorded(traced)
    (trace,) = recorded.traces()
    said = {event.kind: event.summary for event in trace.events()}
    told = {"payment": "3 as ch_3", "refund": "2 back"}
    assert said == {kind: told[kind] for kind in kinds}
    (problem,) = [text for text in trace.problems if "gateway" in text]
    assert "broken (gateway_gone:Plugin)" in problem
