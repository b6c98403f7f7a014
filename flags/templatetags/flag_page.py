"""Small words for the pages of flags."""

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.timesince import timesince

from flags import words
from flags.models import ScheduledChange

register = template.Library()


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
def point(number: float) -> str:
    """A number as CSS and SVG want it, whatever the language."""
    return f"{number:.2f}"


@register.filter
def width(hundredths: int) -> str:
    """Hundredths of a percent as a width in CSS."""
    return point(hundredths / 100)


@register.filter
def in_from(bucket: int) -> str:
    """The percentage from which on a bucket is in."""
    return percent(bucket + 1)


@register.filter
def said(change: ScheduledChange) -> str:
    """What a scheduled change does."""
    return words.change(change.kind, change.payload)
