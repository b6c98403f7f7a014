"""A business model canvas made of the words of a prompt."""

from __future__ import annotations

from collections.abc import Mapping

from valuecanvas.embedded.demo_provider.industries import (
    BLOCKS,
    GENERAL,
    INDUSTRIES,
    Industry,
)
from valuecanvas.embedded.demo_provider.words import Subject, key_words, subject

_OWN = {
    "Key Partners": "Firms that already serve {audience}",
    "Key Activities": "Running and improving {named}",
    "Key Resources": "Know-how in {words}",
    "Value Propositions": "{topic} made for {audience}",
    "Customer Relationships": "Regular talks with {audience} about what to do next",
    "Channels": "Places where {audience} already look for help",
    "Customer Segments": "{segment}",
    "Cost Structure": "Setting up {named}",
    "Revenue Streams": "Payments by {audience} for {named}",
}


def blocks(prompt: str) -> Mapping[str, tuple[str, ...]]:
    """The nine blocks with three lines each, for the business that `prompt` names."""
    about = subject(prompt)
    industry = _industry(about)
    parts = _parts(about)
    return {
        block: (_OWN[block].format(**parts), *lines)
        for block, lines in zip(BLOCKS, industry.phrases, strict=True)
    }


def markdown(prompt: str) -> str:
    """The canvas as readable markdown, a heading for each block."""
    about = subject(prompt)
    sections = [
        f"## {block}\n" + "\n".join(f"- {line}" for line in lines)
        for block, lines in blocks(prompt).items()
    ]
    head = (
        f"# Business Model Canvas: {_capital(about.bare)}\n\n"
        f"A first draft for {about.named}. Test each line with real customers."
    )
    return "\n\n".join([head, *sections])


def _industry(about: Subject) -> Industry:
    """The line of business with most signs among the subject's words."""
    text = {word.lower() for word in about.words}
    text |= {word.lower() for word in about.bare.replace("/", " ").split()}
    best = max(INDUSTRIES, key=lambda industry: len(industry.signs & text))
    return best if best.signs & text else GENERAL


def _parts(about: Subject) -> Mapping[str, str]:
    place = f" in {about.place}" if about.place else ""
    named = _head(about.named)
    return {
        "named": named,
        "topic": _capital(_head(about.bare)),
        "words": ", ".join(key_words(about.bare, 4)) or about.bare,
        "audience": about.audience or "its customers",
        "segment": _capital(about.audience or f"people who need {named}") + place,
    }


def _head(phrase: str) -> str:
    """A phrase without its audience and place: 'coffee shop'."""
    for mark in (" for ", " in ", " that ", " with ", ","):
        phrase = phrase.split(mark)[0]
    return phrase


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
