"""The standard library's ast as a workload: visitors, and recursion by dispatch."""

import ast
import textwrap


class Names(ast.NodeVisitor):
    def __init__(self):
        self.names = []

    def visit_Name(self, node):
        self.names.append(node.id)
        self.generic_visit(node)


class Doubler(ast.NodeTransformer):
    def visit_Constant(self, node):
        if isinstance(node.value, int):
            return ast.copy_location(ast.Constant(node.value * 2), node)
        return node


def main():
    tree = ast.parse(
        textwrap.dedent(
            ast.NodeVisitor.__doc__
            and """
        def f(a, *rest, b=1):
            for n in range(a + b * 2):
                if n % 3 == 1: yield [n ** 2, {n: str(n)}]
            with open("x") as x, y: return lambda z: (z, rest[1:2])
        class C(Base, metaclass=Meta):
            name: str = "c"
            async def g(self):
                try: await self.h()
                except (A, B) as error: raise C from error
                finally: pass
    """
        )
    )
    names = Names()
    names.visit(tree)
    doubled = ast.fix_missing_locations(Doubler().visit(tree))
    return names.names, ast.literal_eval("[1, {'a': (2, 3)}]"), len(ast.dump(doubled))
