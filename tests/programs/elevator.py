"""A simulation: processes are generators, events lie in a heap, some are cancelled."""

import heapq
import itertools
import random
from collections import namedtuple
from contextlib import contextmanager

Event = namedtuple("Event", "time order process")


class Cancelled(Exception):
    pass


class World:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.now = 0
        self.queue = []
        self.order = itertools.count()
        self.log = []

    def start(self, process):
        self.wait(process, 0)
        return process

    def wait(self, process, delay):
        heapq.heappush(self.queue, Event(self.now + delay, next(self.order), process))

    def cancel(self, process):
        try:
            process.throw(Cancelled())
        except (Cancelled, StopIteration):
            self.log.append((self.now, "cancelled"))

    def run(self, until):
        while self.queue and self.queue[0].time <= until:
            event = heapq.heappop(self.queue)
            self.now = event.time
            try:
                delay = event.process.send(None)
            except StopIteration as stop:
                self.log.append((self.now, stop.value))
            else:
                self.wait(event.process, delay)


class Elevator:
    def __init__(self, world, floors):
        self.world, self.floors, self.floor, self.riders = world, floors, 0, 0

    @property
    def full(self):
        return self.riders >= 2

    @contextmanager
    def ride(self):
        self.riders += 1
        try:
            yield self
        finally:
            self.riders -= 1

    def move(self, floor):
        while self.floor != floor:
            self.floor += 1 if floor > self.floor else -1
            yield 1


def person(world, elevator, name):
    target = world.random.randrange(elevator.floors)
    patience = 3
    while elevator.full:
        patience -= 1
        if not patience:
            return f"{name} took the stairs"
        yield 2
    with elevator.ride():
        yield from elevator.move(target)
        yield 1
    return f"{name} is at {target}"


def main():
    world = World(7)
    elevator = Elevator(world, 9)
    people = [world.start(person(world, elevator, f"p{n}")) for n in range(40)]
    world.run(30)
    world.queue = [event for event in world.queue if event.process is not people[5]]
    world.cancel(people[5])
    world.run(400)
    return sorted(world.log, key=lambda entry: (entry[0], str(entry[1])))
