"""The standard library's difflib on two versions of a text."""

import difflib

OLD = [f"line {number} of the text\n" for number in range(40)]
NEW = [line.replace("text", "page") if index % 7 == 0 else line
       for index, line in enumerate(OLD)]  # fmt: skip


def run(turns: int) -> None:
    for _ in range(turns):
        list(difflib.ndiff(OLD, NEW))
        difflib.get_close_matches("lime 3", OLD[:10])
