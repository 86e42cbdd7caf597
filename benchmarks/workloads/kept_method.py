"""A method of an object with ten fields."""

RECORDS = {"CALL": 1, "RETURN": 1}
ENTRIES = 1


class Order:
    """Ten fields of the usual types."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.customer = "Ada"
        self.street = "12 Long Lane"
        self.city = "London"
        self.country = "UK"
        self.total = 12.5
        self.paid = False
        self.items = [1, 2, 3]
        self.notes = None
        self.weight = 340

    def price(self, count: int) -> float:
        return self.total * count


ORDER = Order(7)


def run(turns: int) -> None:
    price = ORDER.price
    for number in range(turns):
        price(number & 255)
