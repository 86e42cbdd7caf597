"""Small objects: made, asked, compared, thrown away."""

from __future__ import annotations


class Point:
    """Two coordinates, with the methods that such a class has."""

    def __init__(self, x: int, y: int) -> None:
        self.x = x
        self.y = y

    @property
    def weight(self) -> int:
        return self.x * self.y

    def moved(self, dx: int, dy: int) -> Point:
        return Point(self.x + dx, self.y + dy)

    def __lt__(self, other: Point) -> bool:
        return self.weight < other.weight


def run(turns: int) -> None:
    for turn in range(turns):
        points = [Point(index, turn) for index in range(60)]
        points = [point.moved(1, 2) for point in points]
        points.sort()
        sum(point.weight for point in points)
