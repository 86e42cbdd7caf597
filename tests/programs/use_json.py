"""The standard library's json as a workload: its encoder in Python, its decoder."""

import json
import json.decoder


class Encoder(json.JSONEncoder):
    def default(self, value):
        return sorted(value) if isinstance(value, set) else super().default(value)


def main():
    data = {
        "list": [{"n": n, "half": n / 2, "name": f"item {n}"} for n in range(20)],
        "nested": [[[[]]], {"a": {"b": {"c": None}}}],
        "set": {3, 1, 2},
        "text": 'ü \u2028 \\ "',
    }
    text = json.dumps(data, indent=1, cls=Encoder, sort_keys=True)
    decoder = json.JSONDecoder()
    scan = json.scanner.py_make_scanner(decoder)
    back, end = scan(text, 0)
    try:
        json.dumps(object(), cls=Encoder)
    except TypeError as error:
        failed = str(error).split()[0]
    try:
        json.loads("{broken")
    except json.JSONDecodeError as error:
        failed += error.msg[:3]
    return text, back == json.loads(text), end == len(text), failed
