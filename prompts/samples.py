"""Sample prompts of a new installation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prompts import services
from prompts.models import Prompt
from prompts.rendering.label_names import PRODUCTION

_REASON = "A sample of the first run."


@dataclass(frozen=True, slots=True)
class Version:
    note: str
    template: str = ""
    messages: Sequence[Mapping[str, str]] = ()
    variables: Sequence[Mapping[str, Any]] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SamplePrompt:
    """A sample prompt; its newest version is in production."""

    key: str
    kind: str
    folder: str
    description: str
    versions: Sequence[Version]


_BUSINESS = {"name": "businessDescription", "description": "What the business does."}
_INDUSTRY = {
    "name": "industry",
    "description": "The industry that it is in.",
    "default": "not said",
    "schema": {"type": "string", "maxLength": 200},
}

SAMPLES = (
    SamplePrompt(
        "style.plain",
        "text",
        "shared",
        "How answers are to be written. Other prompts include it.",
        [
            Version("The first one.", template="Write in plain words."),
            Version(
                "Answers were too long.",
                template="Write in plain words and short sentences. Say nothing twice.",
            ),
        ],
    ),
    SamplePrompt(
        "canvas.generate",
        "text",
        "canvas",
        "Writes a business model canvas.",
        [
            Version(
                "The first one. It takes the industry, but does not use it yet.",
                template="Generate canvas for {{businessDescription}}",
                variables=[_BUSINESS, _INDUSTRY],
            ),
            Version(
                "Name the nine blocks, so that none is left out; use the industry.",
                template=(
                    "Write a business model canvas for this business:\n"
                    "\n"
                    "{{businessDescription}}\n"
                    "\n"
                    "Industry: {{industry}}\n"
                    "\n"
                    "Give two or three points for each of: customer segments, value "
                    "propositions, channels, customer relationships, revenue streams, "
                    "key resources, key activities, key partners, cost structure.\n"
                ),
                variables=[_BUSINESS, _INDUSTRY],
                # Without a limit a small model would write for minutes.
                parameters={"temperature": 0.4, "max_tokens": 600},
            ),
        ],
    ),
    SamplePrompt(
        "support.answer",
        "chat",
        "support",
        "Answers a customer's question. Includes style.plain.",
        [
            Version(
                "The first one.",
                messages=[
                    {
                        "role": "system",
                        "content": "You answer questions about {{product}} in "
                        "{{language}}. If you don't know, say so.\n\n{{> style.plain}}",
                    },
                    {"role": "user", "content": "{{question}}"},
                ],
                variables=[
                    {"name": "product", "description": "What the customer has bought."},
                    {
                        "name": "language",
                        "description": "The language of the answer.",
                        "default": "English",
                        "schema": {"enum": ["English", "German", "French", "Spanish"]},
                    },
                    {"name": "question", "description": "In the customer's words."},
                ],
                parameters={"temperature": 0.2},
            ),
        ],
    ),
)


def add() -> list[str]:
    """Create the missing samples in production; the keys of the new ones."""
    known = set(Prompt.objects.values_list("key", flat=True))
    made = [sample for sample in SAMPLES if sample.key not in known]
    for sample in made:
        _add(sample)
    return [sample.key for sample in made]


def _add(sample: SamplePrompt) -> None:
    actor = services.GATEWAY
    prompt = services.create_prompt(
        key=sample.key,
        kind=sample.kind,
        folder=sample.folder,
        description=sample.description,
        tags=["sample"],
        actor=actor,
        reason=_REASON,
    )
    for version in sample.versions:
        newest = services.add_version(
            prompt,
            template=version.template,
            messages=version.messages,
            variables=version.variables,
            parameters=version.parameters,
            note=version.note,
            actor=actor,
        )
    services.move_label(
        prompt, PRODUCTION, newest, expected=None, actor=actor, reason=_REASON
    )
