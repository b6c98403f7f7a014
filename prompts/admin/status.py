"""The data of a prompt's page: what is live, versions, history."""

from dataclasses import dataclass
from typing import Any

from prompts import services
from prompts.admin.words import sentence, tone
from prompts.models import (
    Experiment,
    Label,
    Prompt,
    PromptEvent,
    PromptVersion,
    Rollout,
)
from prompts.models.experiment import ExperimentState
from prompts.models.rollout import LIVE
from prompts.rendering.label_names import LATEST, PRODUCTION

VERSIONS, EVENTS = 20, 12
# Fields that the list of versions does not need.
HEAVY = ("template", "messages", "variables", "parameters", "digest")
_HEAVY_OF_VERSION = tuple(f"version__{name}" for name in HEAVY)


@dataclass(frozen=True, slots=True)
class StatusLine:
    """One version in the timeline, with its labels."""

    version: PromptVersion
    labels: tuple[str, ...]
    live: bool


@dataclass(frozen=True, slots=True)
class PromptNote:
    """An event as a sentence."""

    event: PromptEvent
    text: str
    tone: str


@dataclass(frozen=True, slots=True)
class PromptStatus:
    """Everything about one prompt but its text."""

    prompt: Prompt
    newest: int | None
    production: PromptVersion | None
    previous: int | None
    moved: PromptEvent | None
    others: tuple[Label, ...]
    lines: tuple[StatusLine, ...]
    older: int
    events: tuple[PromptNote, ...]
    rollout: Rollout | None
    experiment: Experiment | None

    @property
    def behind(self) -> bool:
        """Whether there is a version newer than the live one."""
        live = self.production.number if self.production else None
        return self.newest is not None and self.newest != live


def status(prompt: Prompt, *, all_versions: bool = False) -> PromptStatus:
    """Load everything with a fixed number of queries."""
    rows = prompt.versions.defer(*HEAVY).order_by("-number")
    versions = list(rows if all_versions else rows[: VERSIONS + 1])
    newest = versions[0].number if versions else None
    labels = list(_labels(prompt))
    live = next((one for one in labels if one.name == PRODUCTION), None)
    events = prompt.events.all()[:EVENTS]
    some = versions if all_versions else versions[:VERSIONS]
    return PromptStatus(
        prompt=prompt,
        newest=newest,
        production=live.version if live else None,
        previous=services.rollback_target(prompt) if live else None,
        moved=prompt.events.filter(label=PRODUCTION, to_version__isnull=False).first(),
        others=tuple(one for one in labels if one.name != PRODUCTION),
        lines=tuple(_lines(some, labels, newest)),
        older=_older(versions, some),
        events=tuple(PromptNote(one, sentence(one), tone(one)) for one in events),
        rollout=_rollout(prompt),
        experiment=_experiment(prompt),
    )


def _labels(prompt: Prompt) -> Any:
    return prompt.labels.select_related("version").defer(*_HEAVY_OF_VERSION)


def _lines(
    versions: list[PromptVersion], labels: list[Label], newest: int | None
) -> list[StatusLine]:
    names: dict[Any, list[str]] = {}
    for label in labels:
        names.setdefault(label.version_id, []).append(label.name)
    return [
        StatusLine(
            one,
            (*names.get(one.pk, ()), *([LATEST] if one.number == newest else ())),
            PRODUCTION in names.get(one.pk, ()),
        )
        for one in versions
    ]


def _older(versions: list[PromptVersion], listed: list[PromptVersion]) -> int:
    """How many versions are left out: numbers have no gaps."""
    return listed[-1].number - 1 if len(versions) > len(listed) else 0


def _rollout(prompt: Prompt) -> Rollout | None:
    live = prompt.rollouts.filter(state__in=LIVE).select_related("version")
    return live.defer(*_HEAVY_OF_VERSION).first()


def _experiment(prompt: Prompt) -> Experiment | None:
    """The running experiment, or else a draft."""
    open_ones = prompt.experiments.exclude(state=ExperimentState.STOPPED)
    return open_ones.order_by("-state", "-created_at").first()
