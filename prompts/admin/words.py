"""Events of prompts as sentences, after the name of who did it."""

from collections.abc import Mapping
from typing import Any

from prompts.models import PromptEvent
from prompts.models.event import PromptAction
from prompts.rendering.label_names import PRODUCTION
from valuecanvas.core.templatetags import figures

_SAID: dict[str, str] = {
    PromptAction.CREATED: "created the prompt",
    PromptAction.EDITED: "changed the details",
    PromptAction.VERSION: "wrote version {to}",
    PromptAction.ROLLED_BACK: "rolled {label} back from version {from} to {to}",
    PromptAction.LABEL_REMOVED: "removed the label {label} from version {from}",
    PromptAction.ROLLOUT_STARTED: "began to roll version {to} out",
    PromptAction.ROLLOUT_SHARE: "changed the share of version {to}",
    PromptAction.ROLLOUT_PAUSED: "held the rollout of version {to}",
    PromptAction.ROLLOUT_RESUMED: "resumed the rollout of version {to}",
    PromptAction.ROLLOUT_FINISHED: "finished the rollout of version {to}",
    PromptAction.ROLLOUT_ROLLED_BACK: "ended the rollout of version {to}: rolled back",
    PromptAction.EXPERIMENT_STARTED: "started the experiment {experiment}",
    PromptAction.EXPERIMENT_CHANGED: "changed the experiment {experiment}",
    PromptAction.EXPERIMENT_STOPPED: "stopped the experiment {experiment}",
    PromptAction.EXPERIMENT_PROMOTED: "made the winner of the experiment {experiment} live",
}
# Particulars in hundredths of a percent, and those that the sentence tells.
_SHARES = ("share", "weights", "before", "shares")
_TOLD = ("rollout", "experiment")
# Which stand out: something went wrong, or went live.
ALARMS = (PromptAction.ROLLED_BACK, PromptAction.ROLLOUT_ROLLED_BACK)
LIVE = (PromptAction.ROLLOUT_FINISHED, PromptAction.EXPERIMENT_PROMOTED)


def sentence(event: PromptEvent) -> str:
    """What was done, e.g. 'moved production from version 7 to 9'."""
    names = {
        "label": event.label or "production",
        "from": _number(event.from_version),
        "to": _number(event.to_version),
        "experiment": event.details.get("experiment", "–"),
    }
    if event.action == PromptAction.MOVED:
        said = "moved {label} from version {from} to {to}"
        if event.from_version is None:
            said = "put {label} on version {to}"
        return said.format(**names)
    return _SAID.get(event.action, event.get_action_display()).format(**names)


def tone(event: PromptEvent) -> str:
    """alarm, live or quiet."""
    if event.action in ALARMS:
        return "alarm"
    published = event.action == PromptAction.MOVED and event.label == PRODUCTION
    return "live" if published or event.action in LIVE else "quiet"


def particulars(details: Mapping[str, Any]) -> str:
    """What an event tells beyond its sentence, e.g. 'weights: a 50 %, b 50 %'."""
    told = [
        f"{name.replace('_', ' ')}: {_plain(name, value)}"
        for name, value in details.items()
        if name not in _TOLD
    ]
    return "; ".join(told)


def _plain(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(
            f"{one} {_plain(one if one in _SHARES else name, told)}"
            for one, told in value.items()
        )
    if isinstance(value, list):
        return " → ".join(_plain(name, one) for one in value) or "–"
    if value is None or value == "":
        return "–"
    if isinstance(value, int) and name in _SHARES:
        return figures.percent(value)
    return str(value)


def _number(version: int | None) -> str:
    return "–" if version is None else str(version)
