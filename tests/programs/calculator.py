"""A calculator: tokens by a generator, recursive descent, classes of nodes, errors."""

import operator
import re


class CalculationError(Exception):
    def __init__(self, message, position):
        super().__init__(message, position)
        self.position = position


TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|(\w+)|(.))")


def tokens(text):
    position = 0
    while position < len(text.rstrip()):
        match = TOKEN.match(text, position)
        number, name, sign = match.groups()
        yield (
            ("number", float(number), position)
            if number
            else (("name", name, position) if name else ("sign", sign, position))
        )
        position = match.end()
    yield ("end", None, position)


class Number:
    def __init__(self, value):
        self.value = value

    def evaluate(self, names):
        return self.value


class Name:
    def __init__(self, name, position):
        self.name, self.position = name, position

    def evaluate(self, names):
        try:
            return names[self.name]
        except KeyError as error:
            raise CalculationError(f"no {self.name}", self.position) from error


class Binary:
    SIGNS = {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": lambda a, b: a / b,
    }

    def __init__(self, sign, left, right):
        self.sign, self.left, self.right = sign, left, right

    def evaluate(self, names):
        return self.SIGNS[self.sign](
            self.left.evaluate(names), self.right.evaluate(names)
        )


class Parser:
    def __init__(self, text):
        self.tokens = tokens(text)
        self.advance()

    def advance(self):
        self.kind, self.value, self.position = next(self.tokens)

    def binary(self, signs, operand):
        left = operand()
        while self.kind == "sign" and self.value in signs:
            sign = self.value
            self.advance()
            left = Binary(sign, left, operand())
        return left

    def expression(self):
        return self.binary("+-", self.term)

    def term(self):
        return self.binary("*/", self.factor)

    def factor(self):
        if self.kind == "number":
            node = Number(self.value)
        elif self.kind == "name":
            node = Name(self.value, self.position)
        elif self.value == "(":
            self.advance()
            node = self.expression()
            if self.value != ")":
                raise CalculationError("missing )", self.position)
        else:
            raise CalculationError(f"unexpected {self.value}", self.position)
        self.advance()
        return node


def calculate(text, **names):
    try:
        return Parser(text).expression().evaluate(names)
    except CalculationError as error:
        return f"{error.args[0]} at {error.position}"
    except ZeroDivisionError:
        return "division by zero"


def main():
    results = [
        calculate("1 + 2 * (3 - 4) / 5"),
        calculate("x * x + y", x=3, y=4),
        calculate("x + z", x=1),
        calculate("(1 + 2"),
        calculate("4 / (2 - 2)"),
        calculate(" + ".join(["(1 * 2 + a)"] * 60), a=1),
        calculate("(" * 40 + "7" + ")" * 40),
    ]
    return results
