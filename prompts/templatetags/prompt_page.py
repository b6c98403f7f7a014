"""Template filters for the pages of prompts."""

from django import template

from valuecanvas.core.templatetags.figures import ago, percent, point

register = template.Library()
for _shared in (ago, percent, point):
    register.filter(_shared)


@register.filter
def addnumber(text: str, number: int | None) -> str:
    """`text` with a number behind it; Django's own `add` adds no number to text."""
    return f"{text}{'' if number is None else number}"


@register.filter
def share_width(hundredths: int) -> str:
    """Hundredths of a percent as a width in CSS, with a decimal point in every language."""
    return point(hundredths / 100)
