"""Who buys: accounts, logins, addresses."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from dataclasses import dataclass, field
from typing import NamedTuple

NAMESPACE = uuid.UUID("3a1f3c58-52a2-4d0e-9b5a-0c8de3f9a001")


class Address(NamedTuple):
    """Where a parcel goes."""

    street: str
    city: str
    country: str = "DE"


class LoginFailed(PermissionError):
    """Wrong name or wrong password; which, is not said."""


@dataclass
class Customer:
    """An account."""

    name: str
    address: Address
    password_hash: bytes
    card_token: str
    loyal_years: int = 0
    id: uuid.UUID = field(init=False)

    def __post_init__(self) -> None:
        self.id = uuid.uuid5(NAMESPACE, self.name)


def hash_password(password: str, salt: bytes) -> bytes:
    """Cheap on purpose: this is a simulation."""
    return hashlib.sha256(salt + password.encode()).digest()


class Accounts:
    """Customers by name, and the sessions of those who are logged in."""

    def __init__(self) -> None:
        self._customers: dict[str, Customer] = {}
        self.failed_count = 0

    def register(
        self, name: str, /, password: str, *, address: Address, card_token: str
    ) -> Customer:
        """Make an account."""
        customer = Customer(
            name=name,
            address=address,
            password_hash=hash_password(password, name.encode()),
            card_token=card_token,
            loyal_years=len(name) % 5,
        )
        self._customers[name] = customer
        return customer

    def log_in(self, name: str, password: str) -> Customer:
        """The customer whose name and password these are, or LoginFailed."""
        customer = self._customers.get(name)
        offered = hash_password(password, name.encode())
        if customer is None or not hmac.compare_digest(customer.password_hash, offered):
            self.failed_count += 1
            raise LoginFailed("name or password is wrong")
        return customer

    def names(self) -> list[str]:
        """Everybody, in alphabetical order."""
        return sorted(self._customers)
