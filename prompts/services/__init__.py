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
