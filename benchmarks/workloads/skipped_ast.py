"""The standard library's ast: parse, visit, write back."""

import ast
from pathlib import Path

SOURCE = (Path(__file__).with_name("skipped_objects.py")).read_text(encoding="utf-8")


class Names(ast.NodeVisitor):
    """Collects every name."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def visit_Name(self, node: ast.Name) -> None:
        self.found.append(node.id)
        self.generic_visit(node)


def run(turns: int) -> None:
    for _ in range(turns):
        tree = ast.parse(SOURCE)
        Names().visit(tree)
        ast.unparse(tree)
