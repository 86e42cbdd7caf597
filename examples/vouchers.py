"""Prices three orders, two of them wrongly: see docs/tutorial/first-bug.md."""

OFF = {"WELCOME": 5, "LOYAL": 8}


def vouchers_of(customer: str, *, is_new: bool, found: list[str] = []) -> list[str]:
    if is_new:
        found.append("WELCOME")
    return found


def price(customer: str, amount: int, *, is_new: bool) -> int:
    for voucher in vouchers_of(customer, is_new=is_new):
        amount -= OFF[voucher]
    return amount


def main() -> None:
    print("Ada pays", price("Ada", 40, is_new=True))
    print("Grace pays", price("Grace", 40, is_new=False))
    print("Linus pays", price("Linus", 30, is_new=True))


main()
