"""The OpenFeature Remote Evaluation Protocol at a live gateway."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import jwt
import orjson
import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

from flags.models import Exposure, Flag, Variant
from tests.fixtures_billing import unique
from tests.live.conftest import FIXED_ENV
from tests.live.world import Answer, World
from valuecanvas.core.targeting import bucketing

pytestmark = pytest.mark.live
BULK = "/ofrep/v1/evaluate/flags"
ANN = EvaluationContext("ann", {"country": "SE"})


def make_flag(kind: str = "boolean", **fields: Any) -> Flag:
    values = {"name": unique("flag"), "kind": kind, "percent": Decimal(100), **fields}
    made: Flag = Flag.objects.create(**values)
    return made


def make_variants(flag: Flag, **values: Any) -> None:
    """All of the weight goes to the first."""
    for name, value in values.items():
        Variant.objects.create(flag=flag, name=name, value=value)
    first = next(iter(values))
    flag.allocation = bucketing.dump_allocation(bucketing.allocate({first: 10_000}))
    flag.save()


@pytest.fixture
def key(world: World) -> str:
    return world.new_key(scopes=["flags:evaluate"])


@pytest.fixture
def client(world: World, key: str) -> Iterator[OpenFeatureClient]:
    """The official SDK with the official provider, neither changed."""
    provider = OFREPProvider(
        world.url.removesuffix("/v1"),
        headers_factory=lambda: {"Authorization": f"Bearer {key}"},
    )
    api.set_provider(provider)
    yield api.get_client()
    api.shutdown()
    api.clear_providers()


def evaluate(
    world: World, key: str, flag: str = "", headers: Any = None, **context: Any
) -> Answer:
    path = f"{BULK}/{flag}" if flag else BULK
    body = orjson.dumps({"context": context})
    return world.request(path, body, key=key, **(headers or {}))


def token_of(sub: str) -> str:
    claims = {
        "sub": sub,
        "role": "authenticated",
        "aud": "authenticated",
        "iss": FIXED_ENV["JWT_ISSUER"],
        "exp": 4_000_000_000,
    }
    return jwt.encode(claims, FIXED_ENV["JWT_SECRET"], "HS256")


def test_sdk__flags_of_every_kind__resolve_with_reason_and_variant(
    client: OpenFeatureClient,
) -> None:
    on = make_flag()
    text, number, thing = (make_flag(k) for k in ("string", "number", "object"))
    make_variants(text, blue="#00f")
    make_variants(number, big=7.5)
    make_variants(thing, wide={"columns": [1, 2]})
    boolean = client.get_boolean_details(on.name, False, ANN)
    assert (boolean.value, boolean.variant, boolean.reason) == (True, "on", "STATIC")
    string = client.get_string_details(text.name, "", ANN)
    assert (string.value, string.variant, string.reason) == ("#00f", "blue", "SPLIT")
    assert client.get_float_details(number.name, 0.0, ANN).value == 7.5
    assert client.get_object_details(thing.name, {}, ANN).value == {"columns": [1, 2]}


def test_sdk__flag_changed__its_next_evaluation_sees_it(
    client: OpenFeatureClient,
) -> None:
    flag = make_flag()
    for turn in range(20):
        flag.percent = Decimal(100 * (turn % 2))
        flag.save()
        assert client.get_boolean_value(flag.name, False, ANN) is bool(turn % 2)


def test_sdk__rule__is_a_targeting_match(client: OpenFeatureClient) -> None:
    flag = make_flag(percent=Decimal(0))
    flag.rules.create(
        order=0,
        variant="on",
        name="Swedes",
        conditions=[{"attribute": "country", "operator": "equals", "value": "SE"}],
    )
    found = client.get_boolean_details(flag.name, False, ANN)
    assert (found.value, found.reason) == (True, "TARGETING_MATCH")
    assert found.flag_metadata == {"rule": "Swedes"}


def test_sdk__no_such_flag__gives_the_callers_default(
    client: OpenFeatureClient,
) -> None:
    found = client.get_string_details("no-such-flag", "mine", ANN)
    assert (found.value, found.error_code) == ("mine", ErrorCode.FLAG_NOT_FOUND)


def test_sdk__killed_flag__is_disabled(client: OpenFeatureClient) -> None:
    flag = make_flag(enabled=False)
    found = client.get_boolean_details(flag.name, True, ANN)
    assert (found.value, found.reason) == (False, "DISABLED")


def test_single__outside_the_percentage__is_unknown_and_says_why(
    world: World, key: str
) -> None:
    flag = make_flag(percent=Decimal(0))
    answer = evaluate(world, key, flag.name, targetingKey="ann")
    assert answer.json == {
        "key": flag.name,
        "value": False,
        "variant": "off",
        "reason": "UNKNOWN",
        "metadata": {"reason": "DEFAULT"},
    }


def test_single__share_without_a_subject__wants_a_targeting_key(
    world: World, key: str
) -> None:
    flag = make_flag(percent=Decimal(50))
    answer = evaluate(world, key, flag.name)
    assert answer.status == 400
    assert answer.json["errorCode"] == "TARGETING_KEY_MISSING"
    assert answer.json["key"] == flag.name


def test_single__no_such_flag__is_404(world: World, key: str) -> None:
    answer = evaluate(world, key, "no-such", targetingKey="ann")
    assert (answer.status, answer.json["errorCode"]) == (404, "FLAG_NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "PARSE_ERROR"),
        (b"[]", "PARSE_ERROR"),
        (b'{"context": []}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": 7}}', "INVALID_CONTEXT"),
    ],
)
@pytest.mark.parametrize("flag", ["", "some-flag"])
def test_rubbish__body__is_named(
    world: World, key: str, body: bytes, code: str, flag: str
) -> None:
    path = f"{BULK}/{flag}" if flag else BULK
    answer = world.request(path, body, key=key)
    assert (answer.status, answer.json["errorCode"]) == (400, code)
    assert answer.json.get("key", "") == flag
    assert answer.json["errorDetails"]


def test_single__no_body__is_an_empty_context(world: World, key: str) -> None:
    flag = make_flag()
    answer = world.request(f"{BULK}/{flag.name}", b"", key=key)
    assert (answer.status, answer.json["value"]) == (200, True)


@pytest.mark.parametrize(
    ("key_text", "status"), [("vc-no-such", 401), ("", 401), ("llm", 403)]
)
def test_caller__unknown_or_without_the_scope__is_refused(
    world: World, key_text: str, status: int
) -> None:
    text = world.key if key_text == "llm" else key_text
    answer = evaluate(world, text, "any")
    assert answer.status == status
    assert answer.json["errorDetails"]
    assert answer.json["key"] == "any"


def test_caller__key_in_x_api_key__is_taken(world: World, key: str) -> None:
    flag = make_flag()
    answer = evaluate(world, "", flag.name, {"X-API-Key": key}, targetingKey="a")
    assert answer.status == 200


def test_caller__users_own_token__cannot_say_to_be_another(world: World) -> None:
    world.free_tier()
    flag = make_flag(percent=Decimal(0), user_ids=["boss"], tiers=["enterprise"])
    token = token_of("ann")
    told = {"targetingKey": "boss", "user": "boss", "tier": "enterprise"}
    assert evaluate(world, token, flag.name, **told).json["value"] is False
    flag.user_ids = ["ann"]
    flag.save()
    assert evaluate(world, token, flag.name, **told).json["value"] is True


def test_caller__users_own_token__cannot_say_whose_customer_it_is(
    world: World,
) -> None:
    world.free_tier()
    flag = make_flag(percent=Decimal(0))
    for order, name in enumerate(["customer", "key"]):
        wanted = {"attribute": name, "operator": "equals", "value": "boss"}
        flag.rules.create(order=order, variant="on", conditions=[wanted])
    told = orjson.dumps({"context": {"customer": "boss", "key": "boss"}})
    for sub, value in (("ann", False), ("boss", True)):
        found = world.request(f"{BULK}/{flag.name}", told, key=token_of(sub))
        assert found.json["value"] is value


def test_context__of_more_than_64_kb__is_refused(world: World, key: str) -> None:
    answer = evaluate(world, key, targetingKey="ann", groups=["x" * 99] * 1000)
    assert (answer.status, answer.json["errorCode"]) == (400, "INVALID_CONTEXT")


def test_bulk__all_flags__come_with_an_etag_that_spares_the_next(
    world: World, key: str
) -> None:
    flag, other = make_flag(), make_flag("string")
    make_variants(other, blue="#00f")
    answer = evaluate(world, key, targetingKey="ann")
    found = {one["key"]: one for one in answer.json["flags"]}
    assert found[flag.name]["value"] is True
    assert found[other.name]["variant"] == "blue"
    etag = {"If-None-Match": answer.headers["etag"]}
    again = evaluate(world, key, headers=etag, targetingKey="ann")
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    assert evaluate(world, key, headers=etag, targetingKey="bob").status == 200
    flag.percent = Decimal(50)
    flag.save()
    assert evaluate(world, key, headers=etag, targetingKey="ann").status == 200


@pytest.mark.parametrize("sent", ["*", "W/{}", '"other", {}', '"other", W/{}'])
def test_bulk__none_match_in_any_form__spares_the_answer(
    world: World, key: str, sent: str
) -> None:
    make_flag()
    etag = evaluate(world, key, targetingKey="ann").headers["etag"]
    headers = {"If-None-Match": sent.format(etag)}
    again = evaluate(world, key, headers=headers, targetingKey="ann")
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("sent", ["", '"other"', "{}x", "x{}", "**"])
def test_bulk__none_match_of_another__is_answered(
    world: World, key: str, sent: str
) -> None:
    etag = evaluate(world, key, targetingKey="ann").headers["etag"].strip('"')
    headers = {"If-None-Match": sent.format(etag)}
    assert evaluate(world, key, headers=headers, targetingKey="ann").status == 200


def test_named_users__by_targeting_key__whatever_else_is_told(
    world: World, key: str
) -> None:
    flag = make_flag(percent=Decimal(0), user_ids=["ann"])
    for told in ({"user": "somebody"}, {"user": 7}, {"user": ""}, {}):
        answer = evaluate(world, key, flag.name, targetingKey="ann", **told)
        assert answer.json["value"] is True
    assert evaluate(world, key, flag.name, targetingKey="x", user="ann").json["value"]
    assert not evaluate(world, key, flag.name, targetingKey="x").json["value"]


def test_exposures__evaluations__are_counted_by_variant(world: World, key: str) -> None:
    flag = make_flag()
    for _ in range(3):
        evaluate(world, key, flag.name)
    evaluate(world, key)

    def counted() -> int | None:
        rows = Exposure.objects.filter(flag=flag.name, variant="on")
        found = sum(row.count for row in rows)
        return found if found == 4 else None

    assert world.eventually(counted) == 4
