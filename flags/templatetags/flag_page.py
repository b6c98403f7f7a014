"""Small words for the pages of flags."""

from django import template

from flags.models import ScheduledChange
from flags.wording import words
from valuecanvas.core.templatetags.figures import ago, percent, point

register = template.Library()
for _shared in (ago, percent, point):
    register.filter(_shared)


@register.filter
def width(hundredths: int) -> str:
    """Hundredths of a percent as a width in CSS."""
    return point(hundredths / 100)


@register.filter
def in_from(bucket: int) -> str:
    """The percentage from which on a bucket is in."""
    return percent(bucket + 1)


@register.filter
def scheduled_text(change: ScheduledChange) -> str:
    """What a scheduled change does."""
    return words.change(change.kind, change.payload)
