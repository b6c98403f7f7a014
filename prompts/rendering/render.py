"""Rendering: chooses a version for a caller, and fills in its text.

Pure functions: the same PromptLibrary, subject and context give the same text.
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
from prompts.rendering.variables import Declaration
from valuecanvas.core.errors import GatewayError, InvalidRequest, NotFound
from valuecanvas.core.targeting.bucketing import bucket, owner

# The deepest nesting of included prompts.
DEEPEST = 5
# The most characters of a message with its inclusions: nested inclusions grow
# exponentially.
LARGEST = 1_000_000
# The most characters that repeated values may add.
REPEATED = 1_000_000


@dataclass(frozen=True, slots=True)
class Body:
    """A version's text with its inclusions, and all variables in them.

    `height` is the depth of its inclusions; 0 without any.
    """

    messages: tuple[tuple[str, Template], ...]
    declared: tuple[Declaration, ...]
    height: int = 0


@dataclass(frozen=True, slots=True)
class PromptLibrary:
    """The prompts of one snapshot by key, and the running experiments by prompt key."""

    prompts: Mapping[str, PromptFacts]
    experiments: Mapping[str, ExperimentFacts] = field(default_factory=dict)
    # Versions with inclusions: their text depends on labels of other prompts.
    _bodies: dict[tuple[str, int], Body] = field(default_factory=dict, repr=False)

    def body(
        self, prompt: PromptFacts, version: VersionFacts, above: tuple[str, ...] = ()
    ) -> Body:
        """The text with each `{{> key@label}}` replaced; `above` are the including prompts.

        Raises BrokenPrompt if an inclusion is not possible.
        """
        words, at = version.words, (prompt.key, version.number)
        if not words.references:
            return Body(words.messages, words.declared)
        if at not in self._bodies:
            self._bodies[at] = _expanded(self, words, (*above, prompt.key))
        return self._bodies[at]


@dataclass(frozen=True, slots=True)
class ChosenVersion:
    """The version chosen for a request.

    `variant` is '<experiment>:<arm>', 'rollout-<id>:new', 'rollout-<id>:stable' or ''.
    `model` is that of the experiment's arm, if it has one.
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
    """The rendered prompt. Only text prompts have `text`; both kinds have `messages`.

    `model` None: the client names it. `parameters` are the version's.
    """

    messages: list[dict[str, str]]
    text: str | None
    model: str | None
    parameters: Mapping[str, Any]


class BrokenPrompt(GatewayError):
    """A prompt has an invalid inclusion: an operator must act."""

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
    """Choose the version of the prompt `key` for a request.

    A version or another label in the request decides. Only `production`, the default,
    may be replaced by an arm of an experiment or the new version of a rollout;
    `subject` is bucketed.
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
    """Render `chosen` with its variables. Raises InvalidRequest, BrokenPrompt."""
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
    """Refuse a text that repeated long values make too large for the memory."""
    most = LARGEST + max(REPEATED, sum(map(len, texts.values())))
    if sum(words.length(texts) for _, words in body.messages) > most:
        raise InvalidRequest(
            f"The prompt with its variables has more than {most:,} characters.",
            param="prompt.variables",
            code="prompt_too_long",
        )


def find(library: PromptLibrary, key: str) -> PromptFacts:
    """The active prompt with this key. Raises NotFound."""
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
    """The version of the label; `latest` is the newest one. Raises NotFound."""
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
    """Expand inclusions; own declarations of variables beat included ones."""
    declared = {one.name: one for one in words.declared}
    included: dict[Reference, Template] = {}
    height = 0
    for reference in words.references:
        body = _included(library, reference, path)
        included[reference] = body.messages[0][1]
        declared = {one.name: one for one in body.declared} | declared
        height = max(height, body.height + 1)
    if height > DEEPEST:
        raise _broken(path, f"its inclusions are nested more than {DEEPEST} deep.")
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
    """The arm of this caller; None: the experiment does not apply."""
    if not targeting.takes_part(experiment.tiers, experiment.tests, context):
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
