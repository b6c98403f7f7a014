"""Events of prompts as sentences that follow the actor's name."""

from collections.abc import Mapping
from typing import Any

from prompts.models import PromptEvent
from prompts.models.event import PromptAction
from prompts.rendering.label_names import PRODUCTION
from valuecanvas.core.templatetags import figures

_SENTENCES: dict[str, str] = {
    PromptAction.CREATED: "created the prompt",
    PromptAction.EDITED: "changed the details",
    PromptAction.VERSION: "wrote version {to}",
    PromptAction.ROLLED_BACK: "rolled {label} back from version {from} to {to}",
    PromptAction.LABEL_REMOVED: "removed the label {label} from version {from}",
    PromptAction.ROLLOUT_STARTED: "started the rollout of version {to}",
    PromptAction.ROLLOUT_SHARE: "changed the share of version {to}",
    PromptAction.ROLLOUT_PAUSED: "paused the rollout of version {to}",
    PromptAction.ROLLOUT_RESUMED: "resumed the rollout of version {to}",
    PromptAction.ROLLOUT_FINISHED: "finished the rollout of version {to}",
    PromptAction.ROLLOUT_ROLLED_BACK: "ended the rollout of version {to}: rolled back",
    PromptAction.EXPERIMENT_STARTED: "started the experiment {experiment}",
    PromptAction.EXPERIMENT_CHANGED: "changed the experiment {experiment}",
    PromptAction.EXPERIMENT_STOPPED: "stopped the experiment {experiment}",
    PromptAction.EXPERIMENT_PROMOTED: "made the winner of the experiment {experiment} live",
}
# Details in hundredths of a percent, and details that the sentence has already.
_SHARES = ("share", "weights", "before", "shares")
_IN_SENTENCE = ("rollout", "experiment")
# Highlighted events: something went wrong, or went live.
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
        text = "moved {label} from version {from} to {to}"
        if event.from_version is None:
            text = "put {label} on version {to}"
        return text.format(**names)
    return _SENTENCES.get(event.action, event.get_action_display()).format(**names)


def tone(event: PromptEvent) -> str:
    """The style of an event: alarm, live or quiet."""
    if event.action in ALARMS:
        return "alarm"
    published = event.action == PromptAction.MOVED and event.label == PRODUCTION
    return "live" if published or event.action in LIVE else "quiet"


def particulars(details: Mapping[str, Any]) -> str:
    """Details of an event beyond its sentence, e.g. 'weights: a 50 %, b 50 %'."""
    parts = [
        f"{name.replace('_', ' ')}: {_plain(name, value)}"
        for name, value in details.items()
        if name not in _IN_SENTENCE
    ]
    return "; ".join(parts)


def _plain(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(
            f"{one} {_plain(one if one in _SHARES else name, part)}"
            for one, part in value.items()
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
