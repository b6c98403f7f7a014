"""Who may do what on the pages of prompts."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

VIEW = "prompts.view_prompt"
PUBLISH = "prompts.publish_prompt"


def refuse_unless(request: HttpRequest, right: str) -> None:
    """Raises PermissionDenied."""
    if not request.user.has_perm(right):
        raise PermissionDenied
