"""Checks that only users who may publish a prompt let a flag choose its version."""

from dataclasses import replace

from flags.actor import FlagActor
from prompts.rendering.label_names import PRODUCTION
from prompts.services import actor as movers
from valuecanvas.core.errors import NotPermitted

SCOPE, RIGHT = "prompts:publish", "prompts.publish_prompt"
_WHAT = "This flag changes the prompt version that callers get: saving it"


def require_publish(actor: FlagActor) -> None:
    """Check the right to save a flag that replaces the label `production`.

    Raises NotPermitted unless `actor` may move that label.
    """
    if actor.trusted:
        return
    if actor.scopes is not None:
        if SCOPE not in actor.scopes:
            raise NotPermitted(
                f"{_WHAT} needs a key with the scope '{SCOPE}'.", code="missing_scope"
            )
        mover = replace(movers.PromptActor.from_key("", actor.issuer), name=actor.name)
    elif actor.user is not None and actor.user.has_perm(RIGHT):
        mover = movers.PromptActor.from_user(actor.user)
    else:
        raise NotPermitted(f"{_WHAT} needs the right '{RIGHT}'.")
    if not movers.may_move(mover, PRODUCTION):
        raise NotPermitted(
            f"{_WHAT} needs the right to move the label '{PRODUCTION}', which is "
            f"protected: {actor.name} may not move it.",
            code="label_protected",
        )
