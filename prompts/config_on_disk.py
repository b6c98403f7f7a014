"""Prompts and running experiments in the disk snapshot."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

from prompts.config import (
    ArmFacts,
    ExperimentFacts,
    PromptFacts,
    RolloutFacts,
    VersionFacts,
)
from prompts.experiments import targeting
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


def _prompt(facts: PromptFacts) -> bytes:
    row = {
        "id": facts.id,
        "key": facts.key,
        "kind": facts.kind,
        "archived": facts.archived,
        "cache_policy": facts.cache_policy,
        "cache_scope": facts.cache_scope,
        "versions": [_version(one) for one in facts.versions.values()],
        "labels": facts.labels,
        "rollout": asdict(facts.rollout) if facts.rollout else None,
    }
    return orjson.dumps(row)


def _version(facts: VersionFacts) -> dict[str, Any]:
    return {
        "number": facts.number,
        "template": facts.template,
        "messages_json": facts.messages_json,
        "variables_json": facts.variables_json,
        "model": facts.model,
        "parameters_json": facts.parameters_json,
        "digest": facts.digest,
    }


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
    return {
        "id": facts.id,
        "key": facts.key,
        "prompt": facts.prompt,
        "salt": facts.salt,
        "tiers": sorted(facts.tiers),
        "conditions": [one.row for one in facts.conditions],
        "allocation": bucketing.dump_allocation(facts.allocation),
        "arms": [asdict(one) for one in facts.arms.values()],
    }


def _experiment_facts(row: Mapping[str, Any]) -> ExperimentFacts:
    arms = [ArmFacts(**one) for one in row["arms"]]
    return ExperimentFacts(
        **{
            **row,
            "tiers": frozenset(row["tiers"]),
            "conditions": targeting.load_conditions(row["conditions"]),
            "allocation": bucketing.load_allocation(row["allocation"]),
            "arms": {one.name: one for one in arms},
        }
    )
