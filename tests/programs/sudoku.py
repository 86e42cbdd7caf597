"""A solver: deep recursion, backtracking by exceptions, sets and comprehensions."""

GRID = (
    "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
)


class Contradiction(Exception):
    pass


def row_of(cell):
    return {cell // 9 * 9 + n for n in range(9)}


def column_of(cell):
    return {cell % 9 + 9 * n for n in range(9)}


def box_of(cell):
    top, left = cell // 27 * 3, cell % 9 // 3 * 3
    return {(top + r) * 9 + left + c for r in range(3) for c in range(3)}


PEERS = [(row_of(c) | column_of(c) | box_of(c)) - {c} for c in range(81)]


def assign(grid, cell, digit):
    for other in sorted(grid[cell] - {digit}):
        eliminate(grid, cell, other)


def eliminate(grid, cell, digit):
    if digit not in grid[cell]:
        return
    grid[cell] = grid[cell] - {digit}
    if not grid[cell]:
        raise Contradiction(cell, digit)
    if len(grid[cell]) == 1:
        (last,) = grid[cell]
        for peer in sorted(PEERS[cell]):
            eliminate(grid, peer, last)


def search(grid):
    open_cells = [c for c in range(81) if len(grid[c]) > 1]
    if not open_cells:
        return grid
    cell = min(open_cells, key=lambda c: (len(grid[c]), c))
    for digit in sorted(grid[cell]):
        trial = dict(grid)
        try:
            assign(trial, cell, digit)
            return search(trial)
        except Contradiction:
            continue
    raise Contradiction(cell)


def main():
    grid = {cell: frozenset("123456789") for cell in range(81)}
    for cell, digit in enumerate(GRID):
        if digit != ".":
            assign(grid, cell, digit)
    solved = search(grid)
    empty = {cell: frozenset("12") for cell in range(81)}
    try:
        search(empty)
    except Contradiction as error:
        return "".join("".join(solved[c]) for c in range(81)), error.args
