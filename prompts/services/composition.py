"""Checks of inclusions: no change may break a version in use.

Inclusions depend on labels, so moves of labels are checked like new versions. The
renderer checks again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast

from prompts import config
from prompts.config import PromptFacts, VersionFacts
from prompts.models import Prompt, PromptVersion
from prompts.models.experiment import ExperimentState
from prompts.models.rollout import LIVE
from prompts.rendering.render import BrokenPrompt, PromptLibrary
from valuecanvas.core.db import locks

# In JSON a tab is written as \t.
_INCLUDES = r"\{\{(?:[ \t]|\\t)*>"
_LOCK = "prompts.composition"
# A version of a prompt: its key and number.
Place = tuple[str, int]
Change = Callable[[PromptFacts], PromptFacts]


class StoredPrompts(Mapping[str, PromptFacts]):
    """Prompts of the database by key, each loaded on first use."""

    def __init__(self, known: Mapping[str, PromptFacts] | None = None) -> None:
        self._known: dict[str, PromptFacts | None] = dict(known or {})

    def __getitem__(self, key: str) -> PromptFacts:
        if key not in self._known:
            rows = Prompt.objects.filter(key=key).values_list("pk", flat=True)
            found = config.load_prompts([str(pk) for pk in rows])
            self._known[key] = next(iter(found.values()), None)
        facts = self._known[key]
        if facts is None:
            raise KeyError(key)
        return facts

    def __iter__(self) -> Iterator[str]:
        return (key for key, facts in self._known.items() if facts is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def check_version(prompt: Prompt, version: VersionFacts) -> None:
    """Check a new version before it is saved. Raises ValidationError for its text."""

    def added(facts: PromptFacts) -> PromptFacts:
        return replace(facts, versions={**facts.versions, version.number: version})

    if version.words.references:
        field = "messages" if prompt.kind == "chat" else "template"
        _check(prompt, added, field, version.number)


def check_use(prompt: Prompt, number: int, label: str = "") -> None:
    """Check a version before it is used, by `label` if that moves to it.

    Raises ValidationError for 'version'.
    """
    moved = {label: number} if label else {}
    if _including().filter(prompt=prompt, number=number).exists():
        _check(
            prompt,
            lambda facts: replace(facts, labels={**facts.labels, **moved}),
            "version",
            number,
        )


def check_removal(prompt: Prompt, label: str) -> None:
    """Check the removal of `label`. Raises ValidationError for 'label'."""

    def removed(facts: PromptFacts) -> PromptFacts:
        left = {name: at for name, at in facts.labels.items() if name != label}
        return replace(facts, labels=left)

    _check(prompt, removed, "label")


def check_archive(prompt: Prompt) -> None:
    """Check the archiving of `prompt`. Raises ValidationError for 'archived'."""
    _check(prompt, lambda facts: replace(facts, archived=True), "archived")


def check_all(keys: Iterable[str]) -> None:
    """Check the versions in use of these prompts. Raises ValidationError."""
    locks.hold(_LOCK)
    wanted = set(keys)
    places = [place for place in _inclusions() if place[0] in wanted]
    if problems := _broken(PromptLibrary(StoredPrompts()), places):
        raise ValidationError(list(problems.values()))


def _check(
    prompt: Prompt, change: Change, field: str, number: int | None = None
) -> None:
    """Check that `change` breaks no version in use. Raises ValidationError.

    With `number` that version of the prompt itself must be valid, too.
    """
    locks.hold(_LOCK)
    now = StoredPrompts()
    then = StoredPrompts({prompt.key: change(now[prompt.key])})
    users = _users(prompt.key)
    own = [] if number is None else [(prompt.key, number)]
    before = _broken(PromptLibrary(now), users)
    after = _broken(PromptLibrary(then), [*own, *users])
    new = [text for place, text in after.items() if place in own or place not in before]
    if new:
        raise ValidationError({field: new})


def _broken(library: PromptLibrary, places: Iterable[Place]) -> dict[Place, str]:
    """The errors of versions with invalid inclusions."""
    found = {}
    for key, number in places:
        prompt = library.prompts[key]
        try:
            library.body(prompt, prompt.versions[number])
        except BrokenPrompt as broken:
            found[key, number] = broken.message
    return found


def _users(key: str) -> list[Place]:
    """The versions in use that include the prompt, directly or not."""
    inclusions = _inclusions()
    reached, found = {key}, dict[Place, None]()
    more = True
    while more:
        new = [
            place
            for place, keys in inclusions.items()
            if place not in found and keys & reached
        ]
        found |= dict.fromkeys(new)
        reached |= {name for name, _ in new}
        more = bool(new)
    return [place for place in found if place[0] != key]


def _inclusions() -> dict[Place, set[str]]:
    """Versions in use with inclusions, and the keys that they include."""
    newer = PromptVersion.objects.filter(
        prompt=OuterRef("prompt"), number__gt=OuterRef("number")
    )
    rows = _including().filter(
        ~Exists(newer)
        | Q(labels__isnull=False)
        | Q(rollouts__state__in=LIVE)
        | Q(arms__experiment__state=ExperimentState.RUNNING),
        prompt__archived=False,
    )
    found = {}
    fields = rows.values_list("prompt__key", "number", "template", "messages")
    for key, number, template, messages in fields:
        words = config.read_words(template, messages, [], {})
        found[key, number] = {one.key for one in words.references}
    return found


def _including() -> "QuerySet[PromptVersion]":
    """Versions with an inclusion in their text."""
    return PromptVersion.objects.annotate(
        messages_text=Cast("messages", TextField())
    ).filter(Q(template__regex=_INCLUDES) | Q(messages_text__regex=_INCLUDES))
