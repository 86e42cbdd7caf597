"""Processes that a program starts."""

from __future__ import annotations

import pytest

from tests.integration.plugins.recording import record

PROGRAM = """
    import asyncio, os, pathlib, subprocess, sys
    secret = os.environ["GIVEN"]
    code = [sys.executable, "-c"]
    def run():
        print(subprocess.run(["sh", "-c", "exit 3"]).returncode)
        print(subprocess.check_output(["echo", "a b", "--token", secret, "--size=3",
            "--password=" + secret]))
        try:
            subprocess.check_call("exit 4", shell=True)
        except subprocess.CalledProcessError as error:
            print(error.returncode)
        try:
            subprocess.run(["no-such-program"])
        except FileNotFoundError as error:
            print(error.errno)
        with subprocess.Popen([b"sh", "-c", "exit 5"], cwd=pathlib.Path("/")) as child:
            child.wait()
        child = subprocess.Popen(["true"])
        while child.poll() is None: pass
        with os.popen("echo popen") as said: print(said.read())
    async def later():
        child = await asyncio.create_subprocess_exec("sh", "-c", "exit 6")
        print(await child.wait())
    run()
    asyncio.run(later())
"""


@pytest.mark.parametrize("core", ["c", "python"])
def test_a_process_is_told_with_its_arguments_and_how_it_ended(core, tmp_path):
    recorded = record(tmp_path, PROGRAM, core=core, env={"GIVEN": "hunter2"})
    assert recorded.summaries("subprocess") == [
        "sh -c 'exit 3' → 3",
        "echo 'a b' --token *** --size=3 --password=*** → 0",
        "exit 4 → 4",
        "no-such-program",
        "sh -c 'exit 5'",
        "true",
        "echo popen",
        "sh -c 'exit 6'",
    ]
    assert recorded.summaries("subprocess-exit") == [
        "sh -c 'exit 5' → 5",
        "true → 0",
        "echo popen → 0",
        "sh -c 'exit 6' → 6",
    ]
    shell, started = recorded.fields("subprocess")[2], recorded.fields("subprocess")[4]
    assert shell["shell"] is True
    assert started["cwd"] == "/"
    assert started["pid"] == recorded.fields("subprocess-exit")[0]["pid"]
