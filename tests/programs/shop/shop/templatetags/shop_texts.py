"""How things are written on pages."""

from django import template

register = template.Library()

SIGNS = {"new": "○", "paid": "◐", "sent": "●", "cancelled": "×"}


@register.filter
def money(amount):
    """1234.5 is 1,234.50 €."""
    return f"{amount:,.2f} €"


@register.filter
def sign(status):
    """A status as one sign."""
    return SIGNS.get(status, "?")
