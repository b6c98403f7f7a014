"""Which words, model and parameters a request gets, all from one snapshot."""

import time
from typing import Any

from billing.principal import Principal
from llm.choice import context, effects
from llm.choice.asked import Asked
from llm.choice.effects import Effects
from llm.choice.words import Words, filled, overruled
from llm.resolve import KIND_OF
from llm.snapshot import Snapshot
from llm.types import NOTHING, Call, Chosen
from prompts import render
from prompts.models.label import LATEST, PRODUCTION
from valuecanvas.core import bucketing


def choose(
    call: Call, asked: Asked | None, principal: Principal, snapshot: Snapshot
) -> tuple[dict[str, Any], Chosen]:
    """The body to be answered, and what made it so; the call's own, if nothing did.

    The model is the flag's, else the experiment's, else the client's, else the
    version's. Of parameters the flag's count before the client's, and those before the
    version's. Raises NotFound, InvalidRequest, BrokenPrompt.
    """
    if asked is None and not snapshot.flags.in_gateway:
        return call.body, NOTHING
    known = context.build(principal, call.body, call.context)
    found = effects.of(snapshot.flags, known, time.time())
    if asked is None:
        if not (found.values or found.off):
            return call.body, NOTHING
        body = _changed(call.endpoint, call.body, found, snapshot)
        return body, Chosen(flags=found.values, off=found.off)
    pick = render.choose(
        snapshot.prompt_library,
        asked.key,
        version=asked.version,
        label=_label(asked, found, snapshot),
        subject=known[context.SUBJECT],
        context=known,
    )
    rendered = render.render(snapshot.prompt_library, pick, asked.variables)
    words = Words(
        messages=rendered.messages,
        parameters=rendered.parameters,
        model=rendered.model,
        model_stands=bool(pick.model),
    )
    body = filled(call.endpoint, call.body, words)
    return _changed(call.endpoint, body, found, snapshot), Chosen(
        prompt_key=pick.key,
        prompt_version=pick.number,
        variant=pick.variant,
        subject=bucketing.digest(known[context.SUBJECT]) if pick.variant else None,
        flags=found.values,
        cache_enabled=pick.prompt.cache_enabled,
        cache_scope=pick.prompt.cache_scope,
        off=found.off,
    )


def _label(asked: Asked, found: Effects, snapshot: Snapshot) -> str | None:
    """A flag may lead those who ask for production to another label."""
    if asked.version is not None or asked.label not in (None, PRODUCTION):
        return asked.label
    prompt = snapshot.prompt_library.prompts.get(asked.key)
    # Of other prompts, that have no such label, nothing is changed.
    if prompt and found.prompt_label in (LATEST, *prompt.labels):
        return found.prompt_label
    return asked.label


def _changed(
    endpoint: str, body: dict[str, Any], found: Effects, snapshot: Snapshot
) -> dict[str, Any]:
    """A flag is asked for chats and embeddings alike: it changes what it fits."""
    model = snapshot.models.get(found.model or "")
    fits = model is None or model.kind == KIND_OF[endpoint]
    parameters = {} if endpoint == "embeddings" else found.parameters
    if not (parameters or (found.model and fits)):
        return body
    changed = overruled(endpoint, body, parameters)
    if found.model and fits:
        changed["model"] = found.model
    return changed
