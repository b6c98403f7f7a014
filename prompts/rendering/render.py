"""From a prompt's name and a caller to words: which version, and what it says.

Pure functions of a `Library`: the same library, subject and context give the same words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prompts.config import (
    ArmFacts,
    ExperimentFacts,
    ParsedVersion,
    PromptFacts,
    VersionFacts,
)
from prompts.experiments import targeting
from prompts.rendering import variables as values
from prompts.rendering.grammar import Reference, Template
from prompts.rendering.label_names import LATEST, PRODUCTION
from prompts.rendering.variables import VariableDeclaration
from valuecanvas.core.errors import GatewayError, InvalidRequest, NotFound
from valuecanvas.core.targeting.bucketing import bucket, owner

# How many prompts may stand inside one another, the outermost not counted.
DEEPEST = 5
# Characters that all inclusions of a message may come to: a prompt that includes ten
# times one that includes ten times another grows faster than anybody sees.
LARGEST = 1_000_000
# What values may add by standing in more than one place.
REPEATED = 1_000_000


@dataclass(frozen=True, slots=True)
class Body:
    """A version's words with all that it includes, and every variable in them.

    `height` is how deep its inclusions go; 0: it includes nothing.
    """

    messages: tuple[tuple[str, Template], ...]
    declared: tuple[VariableDeclaration, ...]
    height: int = 0


@dataclass(frozen=True, slots=True)
class PromptLibrary:
    """The prompts of one snapshot by key, and the running experiments by prompt key."""

    prompts: Mapping[str, PromptFacts]
    experiments: Mapping[str, ExperimentFacts] = field(default_factory=dict)
    # Of versions that include others: what they say depends on the others' labels.
    _bodies: dict[tuple[str, int], Body] = field(default_factory=dict, repr=False)

    def body(
        self, prompt: PromptFacts, version: VersionFacts, above: tuple[str, ...] = ()
    ) -> Body:
        """The words with each `{{> key@label}}` put in; `above` are those around it.

        Raises BrokenPrompt where something that it includes can't be.
        """
        words, at = version.words, (prompt.key, version.number)
        if not words.references:
            return Body(words.messages, words.declared)
        if at not in self._bodies:
            self._bodies[at] = _expanded(self, words, (*above, prompt.key))
        return self._bodies[at]


@dataclass(frozen=True, slots=True)
class ChosenVersion:
    """The version that a request runs on.

    `variant` is '<experiment>:<arm>', 'rollout-<id>:new', 'rollout-<id>:stable' or ''.
    `model` is the experiment arm's, where that has one.
    """

    prompt: PromptFacts
    version: VersionFacts
    label: str
    variant: str = ""
    model: str = ""

    @property
    def key(self) -> str:
        return self.prompt.key

    @property
    def number(self) -> int:
        return self.version.number


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """What is to be sent. `text` is of text prompts; `messages` of both kinds.

    `model` None: the client names it. `parameters` are the version's.
    """

    messages: list[dict[str, str]]
    text: str | None
    model: str | None
    parameters: Mapping[str, Any]


class BrokenPrompt(GatewayError):
    """A prompt can't be put together from what it includes: an operator must act."""

    status = 500
    type = "api_error"
    default_code = "prompt_broken"


def choose(
    library: PromptLibrary,
    key: str,
    *,
    version: int | None = None,
    label: str | None = None,
    subject: str,
    context: Mapping[str, object],
) -> ChosenVersion:
    """Which version of the prompt `key` this request runs on.

    A version that is named wins over all. A label that is named gives what it points
    at. Only `production`, which is also the default, may be an experiment's arm or a
    rollout's new version; `subject` is who is put in a bucket.
    Raises NotFound, InvalidRequest.
    """
    prompt = find(library, key)
    if version is not None:
        if label is not None:
            raise InvalidRequest(
                "Name a version or a label, not both.", param="prompt.label"
            )
        return ChosenVersion(prompt, _version(prompt, version), "")
    name = label or PRODUCTION
    if name != PRODUCTION:
        return ChosenVersion(prompt, version_of_label(prompt, name), name)
    experiment = library.experiments.get(key)
    if experiment is not None and (arm := _arm(experiment, subject, context)):
        return _in_experiment(prompt, experiment, arm)
    return _in_production(prompt, subject)


def render(
    library: PromptLibrary, chosen: ChosenVersion, variables: Mapping[str, object]
) -> RenderedPrompt:
    """The words of `chosen` with its variables. Raises InvalidRequest, BrokenPrompt."""
    body = library.body(chosen.prompt, chosen.version)
    texts = values.check(body.declared, variables)
    _refuse_too_long(body, texts)
    messages = [
        {"role": role, "content": template.render(texts)}
        for role, template in body.messages
    ]
    return RenderedPrompt(
        messages,
        None if chosen.prompt.is_chat else messages[0]["content"],
        chosen.model or chosen.version.model or None,
        chosen.version.words.parameters,
    )


def _refuse_too_long(body: Body, texts: Mapping[str, str]) -> None:
    """A long value that stands in many places would fill the memory."""
    most = LARGEST + max(REPEATED, sum(map(len, texts.values())))
    if sum(words.length(texts) for _, words in body.messages) > most:
        raise InvalidRequest(
            f"The prompt with its variables has more than {most:,} characters.",
            param="prompt.variables",
            code="prompt_too_long",
        )


def find(library: PromptLibrary, key: str) -> PromptFacts:
    """The prompt in use under `key`. Raises NotFound."""
    prompt = library.prompts.get(key)
    if prompt is None:
        raise NotFound(
            f"There is no prompt '{key[:200]}'.",
            param="prompt.id",
            code="prompt_not_found",
        )
    if prompt.archived:
        raise NotFound(
            f"The prompt '{key}' is archived: it is no longer in use.",
            param="prompt.id",
            code="prompt_archived",
        )
    return prompt


def version_of_label(prompt: PromptFacts, name: str) -> VersionFacts:
    """What the label points at; `latest` is the newest. Raises NotFound."""
    number = prompt.latest if name == LATEST else prompt.labels.get(name)
    if number is None:
        raise NotFound(
            f"No version of the prompt '{prompt.key}' has the label '{name[:40]}'.",
            param="prompt.label",
            code="prompt_label_not_found",
        )
    return prompt.versions[number]


def _expanded(
    library: PromptLibrary, words: ParsedVersion, path: tuple[str, ...]
) -> Body:
    """Own declarations of variables beat those of what is included."""
    declared = {one.name: one for one in words.declared}
    included: dict[Reference, Template] = {}
    height = 0
    for reference in words.references:
        body = _included(library, reference, path)
        included[reference] = body.messages[0][1]
        declared = {one.name: one for one in body.declared} | declared
        height = max(height, body.height + 1)
    if height > DEEPEST:
        raise _broken(path, f"it goes more than {DEEPEST} prompts deep.")
    messages = []
    for role, template in words.messages:
        if template.expanded_size(included) > LARGEST:
            raise _broken(path, f"its parts make more than {LARGEST:,} characters.")
        messages.append((role, template.expand(included)))
    return Body(tuple(messages), tuple(declared.values()), height)


def _included(
    library: PromptLibrary, reference: Reference, path: tuple[str, ...]
) -> Body:
    if reference.key in path:
        trail = " -> ".join((*path, reference.key))
        raise _broken(path, f"it includes itself ({trail}).")
    try:
        prompt = find(library, reference.key)
        version = (
            version_of_label(prompt, reference.at or PRODUCTION)
            if reference.version is None
            else _version(prompt, reference.version)
        )
    except NotFound as missing:
        raise _broken(path, f"it includes {reference}. {missing.message}") from None
    if prompt.is_chat:
        raise _broken(path, f"it includes {reference}, which is not a text prompt.")
    return library.body(prompt, version, path)


def _broken(path: tuple[str, ...], why: str) -> BrokenPrompt:
    return BrokenPrompt(f"The prompt '{path[0]}' can't be put together: {why}")


def _version(prompt: PromptFacts, number: int) -> VersionFacts:
    found = prompt.versions.get(number)
    if found is None:
        raise NotFound(
            f"The prompt '{prompt.key}' has no version {number}.",
            param="prompt.version",
            code="prompt_version_not_found",
        )
    return found


def _arm(
    experiment: ExperimentFacts, subject: str, context: Mapping[str, object]
) -> ArmFacts | None:
    """The arm that this caller is in; None: the experiment is not about it."""
    if not targeting.takes_part(experiment.tiers, experiment.conditions, context):
        return None
    name = owner(experiment.allocation, bucket(experiment.salt, subject))
    return experiment.arms.get(name or "")


def _in_experiment(
    prompt: PromptFacts, experiment: ExperimentFacts, arm: ArmFacts
) -> ChosenVersion:
    version = (
        version_of_label(prompt, PRODUCTION)
        if arm.version is None
        else _version(prompt, arm.version)
    )
    variant = f"{experiment.key}:{arm.name}"
    return ChosenVersion(prompt, version, PRODUCTION, variant, arm.model)


def _in_production(prompt: PromptFacts, subject: str) -> ChosenVersion:
    stable, rollout = version_of_label(prompt, PRODUCTION), prompt.rollout
    if rollout is None:
        return ChosenVersion(prompt, stable, PRODUCTION)
    if bucket(rollout.salt, subject) < rollout.share:
        new = _version(prompt, rollout.version)
        return ChosenVersion(prompt, new, PRODUCTION, f"rollout-{rollout.id}:new")
    return ChosenVersion(prompt, stable, PRODUCTION, f"rollout-{rollout.id}:stable")
