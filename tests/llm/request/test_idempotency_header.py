"""The Idempotency-Key header, and what a claim of it is made of."""

import uuid
from dataclasses import replace
from typing import Any

import pytest

from billing.auth.principal import Principal
from billing.ledger import Claim
from llm.request.idempotency import MOST, claim, parse
from llm.types import Call
from valuecanvas.core.errors import InvalidRequest

ANN = Principal(
    customer_id=uuid.UUID(int=1),
    user_id="ann",
    tier="free",
    team="",
    key="k1",
    scopes=frozenset(),
    allowed_models=frozenset(),
    suspended=False,
    expires_at=None,
)
BODY = {"model": "m", "messages": [{"role": "user", "content": "é"}]}


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (None, None),
        ("abc", "abc"),
        ('"abc"', "abc"),
        ('  "a b"  ', "a b"),
        (r'"a\"b\\c"', r"a\"b\c".replace("\\", "", 1)),
        ('"', '"'),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324",) * 2,
        ("x" * MOST,) * 2,
        ('"' + "x" * MOST + '"', "x" * MOST),
    ],
)
def test_parse__quoted_or_bare__is_the_key(header: str | None, key: str | None) -> None:
    assert parse(header) == key


@pytest.mark.parametrize(
    "header", ["", "  ", '""', "x" * (MOST + 1), "é", "a\tb", "\0"]
)
def test_parse__anything_else__is_refused_by_name(header: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse(header)
    assert raised.value.param == "Idempotency-Key"


def call(key: str | None, endpoint: str, channel: str, body: dict[str, Any]) -> Call:
    return Call(uuid.UUID(int=9), endpoint, body, idempotency_key=key, channel=channel)


def made(
    key: str = "k",
    who: Principal = ANN,
    endpoint: str = "chat",
    channel: str = "",
    **body: Any,
) -> Claim:
    found = claim(call(key, endpoint, channel, {**BODY, **body}), who)
    assert found is not None
    return found


def test_claim__no_key__is_none() -> None:
    assert claim(call(None, "chat", "", BODY), ANN) is None


def test_claim__same_body_in_another_order__is_the_same() -> None:
    turned = dict(reversed(BODY.items()))
    assert claim(call("k", "chat", "", turned), ANN) == made()


@pytest.mark.parametrize(
    "other",
    [
        made(key="k2"),
        made(endpoint="embeddings"),
        made(channel="complete"),
        made(who=replace(ANN, customer_id=uuid.UUID(int=2))),
    ],
)
def test_claim__another_scope__is_another_claim(other: Claim) -> None:
    assert other.id != made().id
    assert other.fingerprint == made().fingerprint


def test_claim__another_body__has_another_fingerprint() -> None:
    other = made(stream=True)
    assert other.id == made().id
    assert other.fingerprint != made().fingerprint


def test_claim__another_key_of_the_same_customer__shares_its_scope() -> None:
    assert made(who=replace(ANN, key="k2")) == made()
