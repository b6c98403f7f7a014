"""Prompts in memory: a library of facts without a database."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from prompts.config import (
    ArmFacts,
    ExperimentFacts,
    PromptFacts,
    RolloutFacts,
    VersionFacts,
)
from prompts.rendering.render import PromptLibrary
from valuecanvas.core.targeting.bucketing import allocate


def version(
    number: int,
    words: str | Sequence[Mapping[str, str]] = "words",
    *,
    declared: Sequence[Mapping[str, Any]] = (),
    model: str = "",
    parameters: Mapping[str, Any] | None = None,
) -> VersionFacts:
    template = words if isinstance(words, str) else ""
    return VersionFacts(
        number,
        template,
        json.dumps([] if isinstance(words, str) else list(words)),
        json.dumps(list(declared)),
        model,
        json.dumps(dict(parameters or {})),
        hashlib.sha256(template.encode()).hexdigest(),
    )


def prompt(
    key: str,
    *versions: VersionFacts,
    labels: Mapping[str, int] | None = None,
    kind: str = "text",
    archived: bool = False,
    rollout: RolloutFacts | None = None,
) -> PromptFacts:
    """Its newest version is in production unless `labels` says otherwise."""
    newest = max((one.number for one in versions), default=None)
    usual = {} if newest is None else {"production": newest}
    return PromptFacts(
        key,
        key,
        kind,
        archived,
        True,
        "",
        {one.number: one for one in versions},
        usual if labels is None else labels,
        rollout,
    )


def experiment(
    key: str,
    of: str,
    arms: Sequence[ArmFacts],
    weights: Mapping[str, int],
    *,
    tiers: Sequence[str] = (),
    conditions: Sequence[Mapping[str, Any]] = (),
) -> ExperimentFacts:
    return ExperimentFacts(
        key,
        key,
        of,
        f"experiment:{key}",
        frozenset(tiers),
        tuple(conditions),
        allocate(weights),
        {arm.name: arm for arm in arms},
    )


def library(
    *prompts: PromptFacts, runs: Sequence[ExperimentFacts] = ()
) -> PromptLibrary:
    return PromptLibrary(
        {one.key: one for one in prompts}, {one.prompt: one for one in runs}
    )
