"""Figures as people read them: money, milliseconds, shares."""

from decimal import Decimal

from django import template

from valuecanvas.core import money

register = template.Library()


@register.filter
def usd(amount: Decimal | None) -> str:
    """US dollars: cents from a dollar up, as far as six decimals below it."""
    if amount is None:
        return "–"
    if abs(amount) >= 1:
        return f"${amount:,.2f}"
    whole, _, part = f"{amount:.6f}".partition(".")
    return f"${whole}.{part.rstrip('0').ljust(2, '0')}"


@register.filter
def micros(amount: int) -> str:
    """Micro-dollars as US dollars."""
    return usd(money.to_usd(amount))


@register.filter
def duration(millis: int | None) -> str:
    """Milliseconds, or seconds from one up."""
    if millis is None:
        return "–"
    return f"{millis} ms" if millis < 1000 else f"{millis / 1000:.2f} s"


@register.filter
def grouped(number: int) -> str:
    """A whole number with commas."""
    return f"{number:,}"
