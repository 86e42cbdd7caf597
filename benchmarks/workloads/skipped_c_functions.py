"""A loop whose calls are all of functions and methods written in C."""


def run(turns: int) -> None:
    items: list[int] = []
    for _ in range(turns):
        for number in range(200):
            items.append(number)
            abs(number)
            len(items)
            isinstance(number, str)
        items.sort(key=None)
        items.clear()
