"""Figures and names as people read them."""

from decimal import Decimal

from django import template
from django.db.models import Model
from django.utils.text import capfirst

from valuecanvas.core import money

register = template.Library()


@register.filter
def usd(amount: Decimal | None) -> str:
    """US dollars: cents from a dollar up, as far as six decimals below it."""
    if amount is None:
        return "–"
    sign, amount = "−" if amount < 0 else "", abs(amount)
    if amount >= 1:
        return f"{sign}${amount:,.2f}"
    whole, _, part = f"{amount:.6f}".partition(".")
    return f"{sign}${whole}.{part.rstrip('0').ljust(2, '0')}"


@register.filter
def micros(amount: int) -> str:
    """Micro-dollars as US dollars."""
    return usd(money.to_usd(amount))


@register.filter
def duration(millis: int | None) -> str:
    """Milliseconds, or seconds from one up."""
    if millis is None:
        return "–"
    # With no-break spaces: a table cell must not part the unit from its figure.
    return f"{millis}\u00a0ms" if millis < 1000 else f"{millis / 1000:.2f}\u00a0s"


@register.filter
def grouped(number: int) -> str:
    """A whole number with commas."""
    return f"{number:,}"


@register.filter
def heading(title: object) -> str:
    """A capital for words of ours, but 'gpt-4o-mini' stays as it is called."""
    return str(title) if isinstance(title, Model) else capfirst(str(title))
