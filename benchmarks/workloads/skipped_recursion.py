"""Calls and nothing else: the naive Fibonacci numbers."""


def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def run(turns: int) -> None:
    for _ in range(turns):
        fib(15)
