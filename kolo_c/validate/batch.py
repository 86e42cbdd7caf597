"""The driver of a batch: many programs in one process, each in a trace of its own.

``kolo-c run -m kolo_c.validate.batch p1.py p2.py …`` starts Python once for all of
them. Each is a module of its own and has its ``main`` called; what it prints goes, as
one line of JSON, to standard output when it has ended. Garbage is collected before its
trace ends, and at no other time: when that happens by itself depends on everything
that was allocated before, on the recorder's side too.

This runs in the traced process: it imports nothing third-party.

Threads: the main one. Owns: the program's module, until it has ended.
Fails: what leaves a program is printed with its output.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import sys
from collections.abc import Sequence
from types import ModuleType

import kolo_c

_classes: list[type] = []
"""Of the programs that have ended."""


def main(paths: Sequence[str]) -> None:
    """Run the programs of these files."""
    gc.disable()
    for path in paths:
        output = io.StringIO()
        name = os.path.basename(path).removesuffix(".py")
        # Outside a session it would begin one.
        recorded = bool(kolo_c.current())
        trace = kolo_c.trace(name, boundary=True) if recorded else None
        with contextlib.redirect_stdout(output), trace or contextlib.nullcontext():
            _run(name, path)
        line = json.dumps({"program": name, "output": output.getvalue()})
        print(line, file=sys.__stdout__, flush=True)


def _run(name: str, path: str) -> None:
    module = ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    try:
        with open(path, encoding="utf-8") as file:
            code = compile(file.read(), path, "exec", dont_inherit=True)
        exec(code, module.__dict__)
        module.main()
    except BaseException as error:
        print(f"{type(error).__qualname__}: {error}")
    finally:
        del sys.modules[name]
        # A class of the next program at the address of one with this name would be
        # taken for it, on one side and not on another: addresses are.
        _classes.extend(
            each for each in vars(module).values() if isinstance(each, type)
        )
        module.__dict__.clear()
        gc.collect()


if __name__ == "__main__":
    main(sys.argv[1:])
