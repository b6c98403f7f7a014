"""The actor of a command, for the audit of prompts."""

from prompts.services import PromptActor
from valuecanvas.core.audit.audit_context import account_name


def operator() -> PromptActor:
    """The account of the machine: a shell here means access to the database too."""
    return PromptActor(f"{account_name()} on the command line", is_superuser=True)
