"""Prompts and running experiments in the disk snapshot."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import orjson

from prompts.config import (
    ArmFacts,
    ExperimentFacts,
    PromptFacts,
    RolloutFacts,
    VersionFacts,
)
from valuecanvas.core.targeting import bucketing


def dump_prompts(section: Mapping[str, PromptFacts]) -> dict[str, Any]:
    """Prompts for orjson; `restore_prompts` reads them."""
    # As bytes: fewer objects are alive until all is written.
    return {key: orjson.Fragment(_prompt(one)) for key, one in section.items()}


def restore_prompts(section: Mapping[str, Any]) -> dict[str, PromptFacts]:
    """Read the output of `dump_prompts`. Raises KeyError, TypeError or ValueError."""
    return {key: _prompt_facts(row) for key, row in section.items()}


def dump_experiments(section: Mapping[str, ExperimentFacts]) -> dict[str, Any]:
    """Experiments for orjson; `restore_experiments` reads them."""
    return {key: _experiment(one) for key, one in section.items()}


def restore_experiments(section: Mapping[str, Any]) -> dict[str, ExperimentFacts]:
    """Read the output of `dump_experiments`. Raises KeyError, TypeError or ValueError."""
    return {key: _experiment_facts(row) for key, row in section.items()}


def _row(facts: PromptFacts | ExperimentFacts, **changed: Any) -> dict[str, Any]:
    """The fields by name. orjson writes the dataclasses in them, without `_words`."""
    found = {one.name: getattr(facts, one.name) for one in fields(facts) if one.init}
    return found | changed


def _prompt(facts: PromptFacts) -> bytes:
    return orjson.dumps(_row(facts, versions=list(facts.versions.values())))


def _prompt_facts(row: Mapping[str, Any]) -> PromptFacts:
    versions = [VersionFacts(**one) for one in row["versions"]]
    rollout = row["rollout"]
    return PromptFacts(
        **{
            **row,
            "versions": {one.number: one for one in versions},
            "rollout": RolloutFacts(**rollout) if rollout else None,
        }
    )


def _experiment(facts: ExperimentFacts) -> dict[str, Any]:
    return _row(
        facts,
        tiers=sorted(facts.tiers),
        allocation=bucketing.dump_allocation(facts.allocation),
        arms=list(facts.arms.values()),
    )


def _experiment_facts(row: Mapping[str, Any]) -> ExperimentFacts:
    arms = [ArmFacts(**one) for one in row["arms"]]
    return ExperimentFacts(
        **{
            **row,
            "tiers": frozenset(row["tiers"]),
            "allocation": bucketing.load_allocation(row["allocation"]),
            "arms": {one.name: one for one in arms},
        }
    )
