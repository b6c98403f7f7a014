"""A business model canvas made of the words of a prompt."""

from __future__ import annotations

from collections.abc import Mapping

from llm.demo.industries import BLOCKS, GENERAL, INDUSTRIES, Industry
from llm.demo.words import Subject, subject

_OWN = {
    "Key Partners": "Specialists who know {bare}",
    "Key Activities": "Building and improving {named}",
    "Key Resources": "Know-how in {words}",
    "Value Propositions": "{audience_cap} get what they need from {named}",
    "Customer Relationships": "Regular talks with {audience} about what to do next",
    "Channels": "Places where {audience} already look for {topic}",
    "Customer Segments": "{audience_cap}{place}",
    "Cost Structure": "Setting up {named}",
    "Revenue Streams": "Payments by {audience} for {topic}",
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
    audience = about.audience or "customers"
    return {
        "named": about.named,
        "bare": about.bare,
        "topic": _topic(about),
        "words": ", ".join(about.words[:4]) or about.bare,
        "audience": audience,
        "audience_cap": _capital(audience),
        "place": f" in {about.place}" if about.place else " with an urgent need",
    }


def _topic(about: Subject) -> str:
    """The subject without its audience and place: 'coffee shop'."""
    for mark in (" for ", " in ", " that ", " with "):
        head = about.bare.split(mark)[0]
        if head != about.bare:
            return head
    return about.bare


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
