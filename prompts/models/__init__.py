"""The tables of prompts and experiments."""

from prompts.models.event import PromptEvent
from prompts.models.experiment import Arm, Experiment
from prompts.models.label import Label, ProtectedLabel
from prompts.models.prompt import Prompt
from prompts.models.rollout import Rollout
from prompts.models.version import PromptVersion
