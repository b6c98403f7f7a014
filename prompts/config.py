"""Prompts and experiments as sections of the configuration snapshot."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.db.models import F, QuerySet, TextField
from django.db.models.functions import Cast

from prompts.experiments import targeting
from prompts.models import Arm, Experiment, Label, Prompt, PromptVersion, Rollout
from prompts.models.experiment import ExperimentState
from prompts.models.prompt import PromptKind
from prompts.models.rollout import LIVE
from prompts.rendering import grammar, variables
from prompts.rendering.grammar import Template
from prompts.rendering.variables import Declaration
from valuecanvas.core.targeting.bucketing import Allocation, load_allocation
from valuecanvas.core.targeting.conditions import Test

Keys = Iterable[str] | None


@dataclass(frozen=True, slots=True)
class ParsedVersion:
    """A parsed version: a template for each message, and the variables."""

    messages: tuple[tuple[str, Template], ...]
    declared: tuple[Declaration, ...]
    parameters: Mapping[str, Any]

    @property
    def references(self) -> tuple[grammar.Reference, ...]:
        found = (one for _, words in self.messages for one in words.references)
        return tuple(dict.fromkeys(found))


@dataclass(slots=True, eq=False)
class VersionFacts:
    """A version as loaded; its JSON is parsed on first use."""

    number: int
    template: str = field(repr=False)
    messages_json: str = field(repr=False)
    variables_json: str = field(repr=False)
    model: str
    parameters_json: str = field(repr=False)
    digest: str
    _words: ParsedVersion | None = field(default=None, repr=False)

    @property
    def words(self) -> ParsedVersion:
        """The parsed version, cached: most versions are never used."""
        if self._words is None:
            self._words = read_words(
                self.template,
                orjson.loads(self.messages_json),
                orjson.loads(self.variables_json),
                orjson.loads(self.parameters_json),
            )
        return self._words


@dataclass(frozen=True, slots=True)
class RolloutFacts:
    """`share` buckets of 10,000 get `version`; the others the version of `production`."""

    id: str
    version: int
    share: int
    salt: str


@dataclass(frozen=True, slots=True)
class PromptFacts:
    """A prompt with its versions, labels and rollout."""

    id: str
    key: str
    kind: str
    archived: bool
    cache_policy: str
    cache_scope: str
    versions: Mapping[int, VersionFacts]
    labels: Mapping[str, int]
    rollout: RolloutFacts | None

    @property
    def latest(self) -> int | None:
        """The newest version's number; None: there is none yet."""
        return max(self.versions, default=None)

    @property
    def is_chat(self) -> bool:
        return self.kind == PromptKind.CHAT


@dataclass(frozen=True, slots=True)
class ArmFacts:
    """An arm. `version` None: that of `production`. `model` '': the version's."""

    name: str
    version: int | None
    model: str


@dataclass(frozen=True, slots=True)
class ExperimentFacts:
    """A running experiment."""

    id: str
    key: str
    prompt: str
    salt: str
    tiers: frozenset[str]
    conditions: Sequence[Mapping[str, Any]]
    allocation: Allocation
    arms: Mapping[str, ArmFacts]
    tests: tuple[Test, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tests = targeting.load_conditions(self.conditions)
        object.__setattr__(self, "tests", tests)


def read_words(
    template: str,
    messages: Iterable[Mapping[str, Any]],
    declared: Iterable[Mapping[str, Any]],
    parameters: Mapping[str, Any],
) -> ParsedVersion:
    """Parse the fields of a version. A template becomes one message of the user.

    An undeclared name in the text is a required variable.
    """
    rows = [(one["role"], one["content"]) for one in messages] or [("user", template)]
    parsed = tuple((role, grammar.parse(text)) for role, text in rows)
    known = {one.name: one for one in variables.load_variables(declared)}
    for _, words in parsed:
        for name in words.names:
            known.setdefault(name, Declaration(name))
    return ParsedVersion(parsed, tuple(known.values()), parameters)


def load_prompts(keys: Keys = None) -> dict[str, PromptFacts]:
    """Prompts with all versions by primary key; with `keys`, only those."""
    versions = _versions(_some(PromptVersion.objects, keys, "prompt_id"))
    labels = _labels(_some(Label.objects, keys, "prompt_id"))
    rollouts = _rollouts(_some(Rollout.objects, keys, "prompt_id"))
    rows = _some(Prompt.objects, keys, "id").values(
        "id", "key", "kind", "archived", "cache_policy", "cache_scope"
    )
    return {
        str(pk := row.pop("id")): PromptFacts(
            str(pk),
            **row,
            versions=versions.get(pk, {}),
            labels=labels.get(pk, {}),
            rollout=rollouts.get(pk),
        )
        for row in rows
    }


def load_experiments(keys: Keys = None) -> dict[str, ExperimentFacts]:
    """Running experiments by primary key."""
    running = _some(Experiment.objects, keys, "id").filter(
        state=ExperimentState.RUNNING
    )
    arms: dict[int, dict[str, ArmFacts]] = {}
    rows = Arm.objects.filter(experiment__in=running).values_list(
        "experiment_id", "name", "version__number", "model"
    )
    for owner, name, number, model in rows:
        arms.setdefault(owner, {})[name] = ArmFacts(name, number, model)
    return {
        str(row.pk): ExperimentFacts(
            str(row.pk),
            row.key,
            row.prompt.key,
            f"experiment:{row.key}",
            frozenset(row.tiers),
            row.conditions,
            load_allocation(row.allocation),
            arms.get(row.pk, {}),
        )
        for row in running.select_related("prompt")
    }


def prompts_by_key(prompts: Mapping[str, PromptFacts]) -> dict[str, PromptFacts]:
    return {facts.key: facts for facts in prompts.values()}


def experiments_by_prompt(
    experiments: Mapping[str, ExperimentFacts],
) -> dict[str, ExperimentFacts]:
    """The running experiment of each prompt, by the prompt's key."""
    return {facts.prompt: facts for facts in experiments.values()}


def _some(rows: Any, keys: Keys, name: str) -> QuerySet:
    """`rows` whose field `name` is in `keys`, unordered."""
    found: QuerySet = rows.order_by()
    return found if keys is None else found.filter(**{f"{name}__in": list(keys)})


def _versions(rows: QuerySet) -> dict[int, dict[int, VersionFacts]]:
    # JSON as text: parsing it for 40,000 rows takes longer than fetching it.
    messages, declared, parameters = (
        Cast(name, TextField()) for name in ("messages", "variables", "parameters")
    )
    found: dict[int, dict[int, VersionFacts]] = {}
    columns = rows.values_list(
        F("prompt_id"),
        "number",
        "template",
        messages,
        declared,
        "model",
        parameters,
        "digest",
    )
    for prompt, *facts in columns.iterator(chunk_size=2000):
        found.setdefault(prompt, {})[facts[0]] = VersionFacts(*facts)
    return found


def _labels(rows: QuerySet) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for prompt, name, number in rows.values_list(
        "prompt_id", "name", "version__number"
    ):
        found.setdefault(prompt, {})[name] = number
    return found


def _rollouts(rows: QuerySet) -> dict[int, RolloutFacts]:
    live = rows.filter(state__in=LIVE)
    return {
        prompt: RolloutFacts(str(pk), number, share, Rollout(pk=pk).salt)
        for prompt, pk, number, share in live.values_list(
            "prompt_id", "pk", "version__number", "share"
        )
    }
