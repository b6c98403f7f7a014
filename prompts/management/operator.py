"""Who runs a command, as the audit of prompts will name them."""

import getpass

from prompts.services import PromptActor


def operator() -> PromptActor:
    """The account of the machine. Whoever has a shell here has the database too."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        name = "somebody"
    return PromptActor(f"{name} on the command line", is_superuser=True)
