"""Small words for the pages of prompts."""

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.timesince import timesince

register = template.Library()


@register.filter
def addnumber(text: str, number: int | None) -> str:
    """`text` with a number behind it; Django's own `add` adds no number to text."""
    return f"{text}{'' if number is None else number}"


@register.filter
def ago(moment: datetime) -> str:
    """How long ago, in one unit: 'just now', '3 days ago'."""
    if timezone.now() - moment < timedelta(minutes=1):
        return "just now"
    return f"{timesince(moment, depth=1)} ago"


@register.filter
def percent(hundredths: int) -> str:
    """Hundredths of a percent as people read them."""
    return f"{hundredths / 100:g}\u00a0%"


@register.filter
def share_width(hundredths: int) -> str:
    """The same as a width in CSS: a point, whatever the language."""
    return f"{hundredths / 100:.2f}"


@register.filter
def point(number: float) -> str:
    """A number as CSS and SVG want it, whatever the language."""
    return f"{number:.2f}"
