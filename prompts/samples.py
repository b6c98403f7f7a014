"""Sample prompts of a new installation."""

from pathlib import Path

from prompts import services
from prompts.models import Prompt
from prompts.transfer.load import load
from prompts.transfer.prompt_files import read_prompt_files

FOLDER = Path(__file__).parent / "sample_prompts"
_REASON = "A sample of the first run."


def add() -> list[str]:
    """Import the missing samples; the keys of the new ones."""
    known = set(Prompt.objects.values_list("key", flat=True))
    new = [sample for sample in read_prompt_files(FOLDER) if sample.key not in known]
    if new:
        load(new, actor=services.GATEWAY, reason=_REASON)
    return [sample.key for sample in new]
