"""Changes of prompts: each is one transaction with a row in the audit."""

from prompts.services.actor import GATEWAY, PromptActor, may_move
from prompts.services.label import move_label, remove_label, rollback, rollback_target
from prompts.services.prompt import create_prompt, edit_prompt
from prompts.services.rollout import (
    apply_due_steps,
    finish,
    pause,
    resume,
    roll_back_rollout,
    set_share,
    start_rollout,
)
from prompts.services.version import add_version

__all__ = [
    "GATEWAY",
    "PromptActor",
    "add_version",
    "apply_due_steps",
    "create_prompt",
    "edit_prompt",
    "finish",
    "may_move",
    "move_label",
    "pause",
    "remove_label",
    "resume",
    "roll_back_rollout",
    "rollback",
    "rollback_target",
    "set_share",
    "start_rollout",
]
