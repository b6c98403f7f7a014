"""Whoever lets a flag choose a prompt's version must be one who may publish it."""

from dataclasses import replace

from flags.actor import FlagActor
from prompts.rendering.label_names import PRODUCTION
from prompts.services import actor as movers
from valuecanvas.core.errors import NotPermitted

SCOPE, RIGHT = "prompts:publish", "prompts.publish_prompt"
_WHAT = "This flag leads callers to another version of their prompts: saving it"


def require_publish(actor: FlagActor) -> None:
    """For a flag with a prompt label, which is given to those who ask for production.

    Raises NotPermitted unless `actor` may move that label.
    """
    if actor.trusted:
        return
    if actor.scopes is not None:
        if SCOPE not in actor.scopes:
            raise NotPermitted(
                f"{_WHAT} needs a key with the scope '{SCOPE}'.", code="missing_scope"
            )
        mover = replace(movers.PromptActor.of_key("", actor.issuer), name=actor.name)
    elif actor.user is not None and actor.user.has_perm(RIGHT):
        mover = movers.PromptActor.of(actor.user)
    else:
        raise NotPermitted(f"{_WHAT} needs the right '{RIGHT}'.")
    if not movers.may_move(mover, PRODUCTION):
        raise NotPermitted(
            f"{_WHAT} needs the right to move the label '{PRODUCTION}', which is "
            f"protected: {actor.name} may not move it.",
            code="label_protected",
        )
