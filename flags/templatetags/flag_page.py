"""Template filters for the pages of flags."""

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
    """The lowest percentage that includes a bucket."""
    return percent(bucket + 1)


@register.filter
def scheduled_text(change: ScheduledChange) -> str:
    """A scheduled change in words."""
    return words.change(change.kind, change.payload)
