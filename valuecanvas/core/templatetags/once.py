"""The field of a form that acts once; see valuecanvas/core/admin/form_results.py."""

import secrets

from django import template
from django.utils.html import format_html

from valuecanvas.core.admin.form_results import ONCE

register = template.Library()


@register.simple_tag
def once() -> str:
    return format_html(
        '<input type="hidden" name="{}" value="{}">', ONCE, secrets.token_hex()
    )
