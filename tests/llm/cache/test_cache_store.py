"""Where answers are stored, for whom, and what is never served from there."""

import random
import secrets
import uuid
from itertools import product
from typing import Any

import orjson
import pytest
import zstandard
from pytest_django import Settings

from llm.cache import entry as entries
from llm.cache import key, secret
from llm.cache.assembly import Assembly
from llm.cache.cache import Cache
from llm.cache.directives import DEFAULT, Directives
from llm.types import NOTHING, CachePlace, Call, Selection
from tests.llm.sharing_processes import make_entry, make_place
from valuecanvas.core.storage.store import Store

PLANTED = 100
BODY: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "Hi."}],
    "temperature": 0,
}


class Fake:
    """Anything with the attributes given: plans have many that do not matter here."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


def make_plan(**fields: Any) -> Any:
    """A plan; `customer`, `team`, `scope`, `policy` and `model` say the rest."""
    values = {
        "customer": uuid.UUID(int=1),
        "team": "",
        "scope": "customer",
        "policy": "auto",
        "key_policy": "auto",
        "model": "m",
        "cache_epochs": (0, 0, 0, 0),
        "max_output": 100,
        "chosen": NOTHING,
        **fields,
    }
    return Fake(
        principal=Fake(
            customer_id=values["customer"],
            team=values["team"],
            cache_policy=values["key_policy"],
        ),
        model=Fake(
            name=values["model"],
            cache_scope=values["scope"],
            cache_policy=values["policy"],
        ),
        cache_epochs=values["cache_epochs"],
        max_output=values["max_output"],
        chosen=values["chosen"],
    )


def make_call(
    endpoint: str = "chat", wanted: Directives = DEFAULT, **body: Any
) -> Call:
    return Call(uuid.uuid4(), endpoint, {**BODY, **body}, directives=wanted)


def digest(call: Call, plan: Any) -> str:
    """The digest of `call` as it came: no prompt has changed it."""
    plan.body = call.body
    return key.digest(call.endpoint, plan)


def place_of(cache: Cache, call: Call, plan: Any) -> CachePlace | None:
    plan.body = call.body
    return cache.place(call, plan)


@pytest.fixture
def cache(store: Store) -> Cache:
    return Cache(store)


def test_digest__what_changes_only_the_delivery__is_left_out() -> None:
    known = digest(make_call(), make_plan())
    for same in (
        {"stream": True},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"user": "ann"},
        {"metadata": {"a": "b"}},
        {"store": False},
        {"max_tokens": 100},
        {"max_completion_tokens": 100},
    ):
        assert digest(make_call(**same), make_plan()) == known, same
    turned = Call(uuid.uuid4(), "chat", dict(reversed(BODY.items())))
    assert digest(turned, make_plan()) == known


def test_digest__whatever_changes_the_answer__makes_another() -> None:
    calls = [
        make_call(),
        make_call(endpoint="embeddings"),
        make_call(temperature=1),
        make_call(temperature=None),
        make_call(seed=1),
        make_call(n=2),
        make_call(stop=["x"]),
        make_call(tools=[]),
        make_call(response_format={"type": "json_object"}),
        make_call(messages=[{"role": "user", "content": "Hi!"}]),
        make_call(messages=[{"role": "system", "content": "Hi."}]),
        make_call(unknown_field=1),
    ]
    plans = [
        make_plan(customer=uuid.UUID(int=2)),
        make_plan(team="t", scope="team"),
        make_plan(scope="global"),
        make_plan(model="m2"),
        make_plan(cache_epochs=(1, 0, 0, 0)),
        make_plan(cache_epochs=(0, 1, 0, 0)),
        make_plan(cache_epochs=(0, 0, 1, 0)),
        make_plan(cache_epochs=(0, 0, 0, 1)),
        make_plan(max_output=99),
        make_plan(chosen=Selection(prompt_key="p", prompt_version=1)),
        make_plan(chosen=Selection(prompt_key="p", prompt_version=2)),
    ]
    found = [digest(call, make_plan()) for call in calls]
    found += [digest(make_call(), plan) for plan in plans]
    assert len(set(found)) == len(found)
    assert {len(one) for one in found} == {64}


def test_digest__of_a_response__has_all_that_it_repeats() -> None:
    """It repeats its request, and is stored in the form in which it came."""
    fields: list[dict[str, Any]] = [
        {}, {"stream": True}, {"user": "a"}, {"metadata": {}}, {"max_output_tokens": 9}
    ]  # fmt: skip
    found = {digest(make_call("responses", **one), make_plan()) for one in fields}
    assert len(found) == len(fields)


@pytest.mark.parametrize(
    ("scope", "team", "tenant"),
    [
        ("customer", "blue", f"c:{uuid.UUID(int=1)}"),
        ("team", "blue", "t:blue"),
        ("team", "", f"c:{uuid.UUID(int=1)}"),
        ("global", "blue", "g:"),
    ],
)
def test_tenant__by_the_models_scope__is_the_widest_allowed(
    scope: str, team: str, tenant: str
) -> None:
    assert key.tenant(make_plan(scope=scope, team=team)) == tenant


def test_place__what_may_not_be_cached__has_none(
    cache: Cache, settings: Settings
) -> None:
    assert place_of(cache, make_call(), make_plan()) is not None
    assert place_of(cache, make_call(endpoint="embeddings"), make_plan()) is not None
    assert place_of(cache, make_call(endpoint="responses"), make_plan()) is not None
    off = Directives(read=False, write=False)
    assert place_of(cache, make_call(wanted=off), make_plan()) is None
    for chosen in (
        Selection(cache_policy="never"),
        Selection(off=frozenset({"cache"})),
    ):
        assert place_of(cache, make_call(), make_plan(chosen=chosen)) is None
    settings.LLM_CACHE_ENABLED = False
    assert place_of(cache, make_call(), make_plan()) is None


VARIETY: list[dict[str, Any]] = [
    {"temperature": 1}, {"temperature": 0.1}, {"n": 2}, {"temperature": 0, "n": 3}
]  # fmt: skip
ONE_ANSWER: list[dict[str, Any]] = [
    {}, {"temperature": 0}, {"temperature": None}, {"n": 1}, {"top_p": 0.5}
]  # fmt: skip


@pytest.mark.parametrize("body", [*VARIETY, *ONE_ANSWER])
@pytest.mark.parametrize(
    "policies", list(product(("auto", "always", "never"), repeat=3))
)
def test_place__by_policies__never_beats_always_and_auto_leaves_out_variety(
    cache: Cache, body: dict[str, Any], policies: tuple[str, str, str]
) -> None:
    model, prompt, api_key = policies
    chosen = Selection(cache_policy=prompt)
    plan = make_plan(policy=model, chosen=chosen, key_policy=api_key)
    call = make_call(**{**BODY, "temperature": None, **body})
    stored = place_of(cache, call, plan) is not None
    if "never" in policies:
        assert not stored
    else:
        assert stored is ("always" in policies or body in ONE_ANSWER)


@pytest.mark.parametrize("scope", ["customer", "team", "global"])
def test_tenant__prompt_with_a_scope_of_its_own__beats_the_models(scope: str) -> None:
    chosen = Selection(prompt_key="p", prompt_version=1, cache_scope=scope)
    plan = make_plan(scope="team", team="blue", chosen=chosen)
    own = make_plan(scope=scope, team="blue")
    assert key.tenant(plan) == key.tenant(own)


async def stored(cache: Cache, store: Store, place: Any) -> bytes | None:
    value: bytes | None = await store.command("GET", cache.name(place))
    return value


async def test_put__and_opened_again__is_the_same(cache: Cache, store: Store) -> None:
    place, answer = make_place(), make_entry()
    cache.put(place, DEFAULT, answer)
    value = await stored(cache, store, place)
    assert value is not None
    assert cache.open(place, DEFAULT, value) == answer


@pytest.mark.parametrize(("ttl", "seconds"), [(None, 86_400), (60, 60)])
async def test_put__ttl__is_spread_by_a_tenth(
    cache: Cache, store: Store, ttl: int | None, seconds: int
) -> None:
    left = []
    for _ in range(30):
        place = make_place()
        cache.put(place, Directives(ttl_s=ttl), make_entry())
        left.append(await store.command("PTTL", cache.name(place)))
    assert 0.89 * seconds * 1000 < min(left) < max(left) <= 1.1 * seconds * 1000
    assert len(set(left)) > 1


async def test_put__forbidden_or_too_large__stores_nothing(
    cache: Cache, store: Store
) -> None:
    place = make_place()
    cache.put(place, Directives(write=False), make_entry())
    cache.put(place, DEFAULT, make_entry(b"x" * (entries.MOST_BYTES + 1)))
    assert await stored(cache, store, place) is None
    cache.put(place, DEFAULT, make_entry(b"x" * entries.MOST_BYTES))
    value = await stored(cache, store, place)
    assert value is not None
    assert cache.open(place, DEFAULT, value) is not None


async def test_put__redis_away__is_no_error(prefix: str) -> None:
    nowhere = Store("redis://127.0.0.1:9/0", timeout_s=1, prefix=prefix)
    Cache(nowhere).put(make_place(), DEFAULT, make_entry())
    await nowhere.close()


async def test_open__by_age__only_what_is_young_enough(cache: Cache) -> None:
    place, old = make_place(), make_entry(at=5.0)
    value = entries.pack(old, tenant=place.tenant, key=place.key)
    assert cache.open(place, Directives(max_age_s=60), value) is None
    assert cache.open(place, DEFAULT, value) == old


def planted(source: random.Random, place: Any) -> bytes:
    """A value that somebody without the key wrote, or one of another place."""
    genuine = entries.pack(make_entry(), tenant=place.tenant, key=place.key)
    other = make_place(source.choice([place.tenant, "c:2", "g:"]))
    spot = source.randrange(len(genuine))
    flipped = bytes([genuine[spot] ^ (1 << source.randrange(8))])
    kinds = [
        entries.pack(make_entry(), tenant=other.tenant, key=other.key),
        entries.pack(make_entry(), tenant=place.tenant, key=other.key),
        zstandard.compress(orjson.dumps({"body": "{}", "tokens": [1, 1, 1]})),
        genuine[: source.randrange(len(genuine))],
        source.randbytes(source.randrange(1, 400)),
        zstandard.compress(source.randbytes(50)),
        genuine[:spot] + flipped + genuine[spot + 1 :],
    ]
    return source.choice(kinds)


def test_open__planted_foreign_or_changed__is_never_served(cache: Cache) -> None:
    source, place = random.Random(11), make_place()
    answer = make_entry(at=1.0)
    genuine = entries.pack(answer, tenant=place.tenant, key=place.key)
    for _ in range(PLANTED):
        value = planted(source, place)
        found = cache.open(place, DEFAULT, value)
        assert found is None, value
    assert cache.open(place, DEFAULT, genuine) == answer


def frame(size: int) -> bytes:
    """A zstd frame that claims to hold `size` bytes, and holds none."""
    # Magic number, single segment with an 8-byte size, one empty last block.
    return b"\x28\xb5\x2f\xfd\xe0" + size.to_bytes(8, "little") + b"\x01\0\0"


@pytest.mark.parametrize("size", [10**6, 2**40, 2**62])
def test_open__claims_to_be_huge__is_refused_unread(cache: Cache, size: int) -> None:
    value = frame(size)
    assert zstandard.frame_content_size(value) == size
    assert cache.open(make_place(), DEFAULT, value) is None


def test_open__another_deployments_secret__is_a_miss(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = make_place()
    monkeypatch.setattr(secret, "secret", lambda: secrets.token_bytes(32))
    value = entries.pack(make_entry(), tenant=place.tenant, key=place.key)
    monkeypatch.undo()
    assert cache.open(place, DEFAULT, value) is None


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": ["text"]},
        {"choices": [{"delta": "text"}]},
        {"choices": [{"delta": {"content": 5}}, {"delta": {"content": "x"}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": 10**9}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": -1}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": "0"}]}}]},
        {"choices": [{"delta": {"audio": {"data": "AAAA"}}}]},
        {"choices": [{"index": [], "delta": {}}]},
    ],
)
def test_assembly__what_cannot_be_joined__is_lossy(chunk: dict[str, Any]) -> None:
    assembly = Assembly()
    assembly.add({"id": "1", "choices": [{"delta": {"content": "x"}}]})
    assert not assembly.lossy
    assembly.add(chunk)
    assert assembly.lossy
    assert orjson.loads(assembly.whole({}) or b"")["choices"] == []
