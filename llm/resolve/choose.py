"""Chooses the prompt text, model and parameters of a request, from one snapshot."""

import time
from dataclasses import replace
from typing import Any

from billing.auth.principal import Principal
from llm.configuration.snapshot import Snapshot
from llm.resolve import context, flag_effects, usable_models
from llm.resolve.flag_effects import Effects
from llm.resolve.plan import KIND_OF
from llm.resolve.prompt_body import (
    Filled,
    PromptWords,
    insert_prompt,
    override_parameters,
)
from llm.resolve.prompt_field import PromptField
from llm.resolve.prompt_version import pick
from llm.types import NOTHING, Call, Selection
from prompts.rendering import render
from prompts.rendering.render import BrokenPrompt
from valuecanvas.core.targeting import bucketing


def choose(
    call: Call, asked: PromptField | None, principal: Principal, snapshot: Snapshot
) -> tuple[dict[str, Any], Selection]:
    """The body to answer, and what was selected; the call's own body if nothing was.

    The model is the flag's, else the experiment's, else the client's, else the
    version's; a model of a flag or experiment that can't answer is passed over. Of
    parameters the flag's count before the client's, and those before the version's.
    Raises NotFound, InvalidRequest, BrokenPrompt.
    """
    if asked is None and not snapshot.flags.in_gateway:
        return call.body, NOTHING
    known = context.build(principal, call.body, call.context)
    effects = flag_effects.evaluate_flags(snapshot.flags, known, time.time())
    found, passed_over = _drop_unusable_model(effects, call, principal, snapshot)
    if asked is None:
        if not (found.values or found.off):
            return call.body, NOTHING
        changed = _apply_flags(call.endpoint, Filled(call.body), found)
        return changed.body, Selection(
            flags=found.values,
            off=found.off,
            preset=changed.preset,
            passed_over=passed_over,
        )
    picked = pick(snapshot.prompt_library, asked, known, found)
    if picked.model and not _usable(picked.model, call, principal, snapshot):
        passed_over = (*passed_over, ("experiment", picked.model))
        picked = replace(picked, model="")
    if not (found.model or picked.model or call.body.get("model")):
        _refuse_missing(picked, call.endpoint, snapshot)
    before = insert_prompt(call.endpoint, call.body, _render(picked, asked, snapshot))
    changed = _apply_flags(call.endpoint, before, found)
    return changed.body, Selection(
        prompt_key=picked.key,
        prompt_version=picked.number,
        variant=picked.variant,
        subject=bucketing.digest(known[context.SUBJECT]) if picked.variant else None,
        flags=found.values,
        cache_policy=picked.prompt.cache_policy,
        cache_scope=picked.prompt.cache_scope,
        off=found.off,
        preset=changed.preset,
        passed_over=passed_over,
    )


def _drop_unusable_model(
    found: Effects, call: Call, principal: Principal, snapshot: Snapshot
) -> tuple[Effects, tuple[tuple[str, str], ...]]:
    """The effects without a model that cannot answer, and that model."""
    name = found.model
    if not name or _usable(name, call, principal, snapshot):
        return found, ()
    model = snapshot.models.get(name)
    # A flag is evaluated for chats and embeddings alike: its model may fit only one.
    meant = model is None or model.kind == KIND_OF[call.endpoint]
    return replace(found, model=None), (("flag", name),) if meant else ()


def _render(
    picked: render.ChosenVersion, asked: PromptField, snapshot: Snapshot
) -> PromptWords:
    rendered = render.render(snapshot.prompt_library, picked, asked.variables)
    return PromptWords(
        messages=rendered.messages,
        parameters=rendered.parameters,
        model=rendered.model,
        model_stands=bool(picked.model),
    )


def _apply_flags(endpoint: str, before: Filled, found: Effects) -> Filled:
    parameters = {} if endpoint == "embeddings" else found.parameters
    changed = (
        override_parameters(endpoint, before, parameters) if parameters else before
    )
    if not found.model:
        return changed
    return replace(changed, body={**changed.body, "model": found.model})


def _usable(name: str, call: Call, principal: Principal, snapshot: Snapshot) -> bool:
    return usable_models.is_usable(
        name,
        call.endpoint,
        principal=principal,
        snapshot=snapshot,
        body=call.body,
    )


def _refuse_missing(
    picked: render.ChosenVersion, endpoint: str, snapshot: Snapshot
) -> None:
    """Raises BrokenPrompt if the model of the version, the only one named, is gone."""
    name = picked.version.model
    if name and not usable_models.exists(name, endpoint, snapshot):
        raise BrokenPrompt(
            f"Version {picked.number} of the prompt '{picked.key}' is for the model "
            f"'{name}', which is not in use any more. Name a 'model' in the request; "
            "an operator must correct the prompt."
        )
