"""The standard library's json: the encoder and the decoder that are written in Python.

``iterencode`` takes the first; the parts of the second are asked for.
"""

from json import decoder, scanner
from json.encoder import JSONEncoder
from typing import Any

DOCUMENT = {
    "orders": [
        {"id": number, "name": f"order {number}", "total": number * 1.5, "tags": ["a"]}
        for number in range(20)
    ],
    "page": {"number": 1, "of": 12, "next": None, "done": False},
}


def _python_decoder() -> Any:
    # Typed as anything: the parts in Python are there, but not in its stubs.
    module: Any = decoder
    scanning: Any = scanner
    made: Any = module.JSONDecoder()
    made.parse_string = module.py_scanstring
    made.scan_once = scanning.py_make_scanner(made)
    return made


def run(turns: int) -> None:
    reader = _python_decoder()
    writer = JSONEncoder(indent=1)
    for _ in range(turns):
        reader.decode("".join(writer.iterencode(DOCUMENT)))
