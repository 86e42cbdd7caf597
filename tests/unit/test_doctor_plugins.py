"""``kolo-c doctor --trace``: what plugins took, which are slow, which raised."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kolo_c.cli import main as command_line
from kolo_c.process_info import PLUGIN_COSTS
from kolo_c.store.reader import Store
from tests.unit.store_builder import ProcessBuilder

LONG_NS = 1_000_000_000


def write(folder: Path, costs: object, *, own_ns: int = 200_000_000) -> None:
    """A process of one second, with a request of a tenth of it."""
    process = ProcessBuilder()
    code = process.code(process.file("/app/shop.py"), "main")
    main, request = process.trace("shop.py", "AAA"), process.trace("GET /", "BBB")
    thread = process.thread("MainThread")
    for trace, duration_ns in ((request, LONG_NS // 10), (main, LONG_NS)):
        stream = trace.stream(thread)
        stream.call(code)
        stream.ret(None, after=duration_ns)
        trace.counters = {"calls": 1, "own_ns": own_ns}
        trace.end()
    text = costs if isinstance(costs, str) else json.dumps(costs)
    main.attributes = {PLUGIN_COSTS: text, "customer": 7}
    process.write(folder)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KOLO_C_PATH", raising=False)
    (tmp_path / "pyproject.toml").write_text("")
    return tmp_path


def doctor(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    command_line.main(["doctor", "--trace", *words])
    return capsys.readouterr().out


def lines_of(text: str) -> list[str]:
    """Those about plugins, with what to do."""
    lines = text.splitlines()
    return [
        " ".join([line, *lines[at + 1 : at + 2]]) if line.startswith("warn") else line
        for at, line in enumerate(lines)
        if line[9:].startswith(("plugin", "plugins"))
    ]


def test_each_has_a_line_the_dearest_first(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here, {"http": [2, 3000, 0], "sql": [1000, 20_000_000, 0]})
    assert lines_of(doctor(capsys, "AAA")) == [
        "ok       plugins: 2 plugins, 1,002 calls, 20.0 ms, 10% of the recorder's cost",
        "ok       plugin: sql: 1,000 calls, 20.0 ms, 20.0 µs a call, 10% of the "
        "recorder's cost",
        "ok       plugin: http: 2 calls, 3.00 µs, 1.50 µs a call, 0% of the "
        "recorder's cost",
    ]


def test_a_slow_one_is_named_with_what_to_do(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        here,
        {
            "often": [100_000, 66_000_000, 0],  # 6 % of the duration
            "heavy": [20, 4_000_000, 0],  # 200 µs a call
            "once": [1, 900_000, 0],  # dear, but a moment in all
        },
    )
    often, heavy, once = lines_of(doctor(capsys, "AAA"))[1:]
    assert "slow: 6.0% of the duration" in often
    assert 'plugins = ["-often"]' in often
    assert "200 µs a call" in heavy
    assert "slow: 0.4%" in heavy
    assert once.startswith("ok ")


def test_one_that_raised_is_a_warning(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here, {"Broken": [9, 4000, 3], "Once": [1, 1, 1]})
    many, once = lines_of(doctor(capsys, "AAA"))[1:]
    assert many.startswith("warning  plugin: Broken: 9 calls")
    assert "; raised 3 times" in many
    assert "; raised " in once


def test_a_request_s_says_what_the_whole_process_took(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here, {"sql": [3, 3000, 0]})
    assert "3.00 µs in the whole process" in lines_of(doctor(capsys, "BBB"))[0]


def test_many_are_summed_up(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, {f"plugin{n}": [1, 1000, 0] for n in range(20)})
    lines = lines_of(doctor(capsys, "AAA"))
    assert len(lines) == 14
    assert lines[-1] == "info     plugin: 8 more, 8 calls, 8.00 µs"


def test_for_programs_they_are_numbers(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here, {"sql": [3, 3000, 0]})
    assert json.loads(doctor(capsys, "AAA", "--json"))["plugins"] == [
        {"name": "sql", "calls": 3, "nanoseconds": 3000, "errors": 0}
    ]


@pytest.mark.parametrize("text", ["[]", "{", '{"sql": [1, true, 0], "x": 3}'])
def test_damaged_costs_are_passed_over(
    here: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    write(here, text)
    assert lines_of(doctor(capsys, "AAA")) == []


def test_the_recorder_s_own_attributes_are_not_the_program_s(here: Path) -> None:
    write(here, {"sql": [3, 3000, 0]})
    with Store(here / ".kolo_c") as store:
        info = store.trace("AAA").info
        assert info.attributes == {"customer": 7}
        assert list(info.own) == [PLUGIN_COSTS]
