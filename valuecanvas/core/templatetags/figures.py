"""Template filters that format numbers, money and names."""

from datetime import datetime, timedelta
from decimal import Decimal

from django import template
from django.db.models import Model
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.timesince import timesince

from valuecanvas.core import money

register = template.Library()


@register.filter
def usd(amount: Decimal | None) -> str:
    """US dollars: two decimals from a dollar up, up to six decimals below it."""
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
    """Milliseconds, or seconds from one second up."""
    if millis is None:
        return "–"
    # With no-break spaces: a table cell must not part the unit from its figure.
    return f"{millis}\u00a0ms" if millis < 1000 else f"{millis / 1000:.2f}\u00a0s"


@register.filter
def time_left(seconds: int) -> str:
    """Seconds as '2 min 5 s left'; 'about to end' without any."""
    minutes, rest = divmod(max(0, seconds), 60)
    parts = [f"{minutes}\u00a0min" if minutes else "", f"{rest}\u00a0s" if rest else ""]
    return (
        f"{' '.join(filter(None, parts))} left" if minutes or rest else "about to end"
    )


@register.filter
def commas(number: int) -> str:
    """A whole number with commas."""
    return f"{number:,}"


@register.filter
def heading(title: object) -> str:
    """Capitalise titles, but not names of objects such as 'gpt-4o-mini'."""
    return str(title) if isinstance(title, Model) else capfirst(str(title))


@register.filter
def ago(moment: datetime) -> str:
    """How long ago, in one unit: 'just now', '3 days ago'."""
    if timezone.now() - moment < timedelta(minutes=1):
        return "just now"
    return f"{timesince(moment, depth=1)} ago"


@register.filter
def percent(hundredths: int) -> str:
    """Hundredths of a percent as a percentage."""
    return f"{hundredths / 100:g}\u00a0%"


@register.filter
def point(number: float) -> str:
    """A number for CSS and SVG, in any language."""
    return f"{number:.2f}"
