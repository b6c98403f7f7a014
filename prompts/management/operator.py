"""The actor of a command, for the audit of prompts."""

import getpass

from prompts.services import PromptActor


def operator() -> PromptActor:
    """The account of the machine: a shell here means access to the database too."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        name = "somebody"
    return PromptActor(f"{name} on the command line", is_superuser=True)
