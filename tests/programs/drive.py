"""Run a program's ``main`` twice: once to warm up, once counted or recorded.

``drive.py count NAME FOLDER…`` prints, as JSON, the calls that a profiler written in
Python sees of code in the folders; ``drive.py record NAME PATTERN…`` records them. Both
print what ``main`` returned.
"""

import dis
import gc
import importlib
import json
import sys

SUSPENDS = 0x20 | 0x80 | 0x200  # generator, coroutine, async generator
RESUME = dis.opmap.get("RESUME")


def begins(frame):
    """Whether a call event is the first of its frame: by where it stands.

    To remember frames would keep what they hold alive, and change what is counted.
    """
    code = frame.f_code
    if not code.co_flags & SUSPENDS:
        return True
    if RESUME is None or frame.f_lasti < 0:
        return frame.f_lasti < 0
    opcode, operand = code.co_code[frame.f_lasti : frame.f_lasti + 2]
    return opcode == RESUME and operand & 3 == 0


def count(main, folders):
    calls = []

    def profiler(frame, event, arg):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(folders) and begins(frame):
            calls.append((code.co_name, code.co_firstlineno))

    sys.setprofile(profiler)
    try:
        result = main()
    finally:
        sys.setprofile(None)
    return result, calls


def record(main, patterns):
    import kolo_c

    with kolo_c.trace(
        "program", plugins=["-*"], include_frames=patterns, threads=False
    ):
        return main()


def run():
    how, name, *rest = sys.argv[1:]
    main = importlib.import_module(name).main
    main()
    gc.collect()  # what the first run left must not end in the midst of the second
    gc.disable()
    if how == "count":
        result, calls = count(main, tuple(rest))
    else:
        result, calls = record(main, rest), []
    print(json.dumps({"result": repr(result), "calls": calls}))


if __name__ == "__main__":
    run()
