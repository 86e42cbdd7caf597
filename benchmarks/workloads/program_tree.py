"""As a program: N calls in two threads, a leaf for each of 49 below its caller.

``program_tree.py COUNT [stay]``: with ``stay`` it says ``ready`` when they are made,
and then goes on calling until its standard input ends.
"""

import sys
import threading


def leaf(number: int) -> int:
    return number


def branch(count: int) -> int:
    total = 0
    for number in range(count):
        total += leaf(number)
    return total


def tree(count: int) -> None:
    for _ in range(count // 50):
        branch(49)


def wait_for_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def stay() -> None:
    print("ready", flush=True)
    ended = threading.Event()
    threading.Thread(target=wait_for_end, args=(ended,)).start()
    while not ended.wait(0.02):
        branch(99)


def main() -> None:
    count = int(sys.argv[1])
    second = threading.Thread(target=tree, args=(count // 100,), name="second")
    second.start()
    second.join()
    tree(count)
    if sys.argv[2:] == ["stay"]:
        stay()


if __name__ == "__main__":
    main()
