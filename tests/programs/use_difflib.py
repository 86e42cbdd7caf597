"""The standard library's difflib as a workload: generators within generators."""

import difflib


def main():
    one = [f"line {n}\n" for n in range(60)]
    two = [line.replace("7", "seven") for line in one if "3" not in line]
    return (
        list(difflib.unified_diff(one, two)),
        list(difflib.ndiff(one[:25], two[:25])),
        difflib.get_close_matches("linne 4", [line.strip() for line in one]),
        len(difflib.HtmlDiff().make_table(one[:10], two[:10])) > 100,
    )
