"""T24: hostile request bodies: refused as ours, before anything is held or sent."""

import gzip
import io
import json

import aiohttp
import orjson
import psutil
import pytest

from billing.models import Tier
from tests.faults.counts import FULL, either
from tests.faults.rig import Offer, Rig

RUNS = either(2, 20)
CPU_MS = 50
NUL_MODEL = "NUL in the model"


def body(offer: Offer, content: str = '"hi"', more: str = "") -> bytes:
    """A chat request whose content and further fields are raw JSON."""
    return (
        f'{{"model":"{offer.model}","messages":[{{"role":"user","content":{content}}}]'
        f"{more}}}"
    ).encode()


def hostile(offer: Offer) -> dict[str, tuple[bytes, dict[str, str]]]:
    deep = "[" * 100_000
    items = json.dumps([{"role": "user", "content": ""}] * 100_000)
    bare = f'{{"model":"{offer.model}"'
    plain: dict[str, bytes] = {
        "25 MB": body(offer, orjson.dumps("x" * 25_000_000).decode()),
        "4 million values": body(offer, "[" + "[]," * 2_000_000 + "[]]"),
        "deep array": deep.encode(),
        "deep object": b'{"a":' * 100_000,
        "deep content": body(offer, "[" * 2000 + "]" * 2000),
        "NaN": body(offer, more=',"temperature":NaN'),
        "Infinity": body(offer, more=',"temperature":-Infinity'),
        "1e400": body(offer, more=',"temperature":1e400'),
        "5000 digits": body(offer, more=',"max_tokens":' + "9" * 5000),
        "invalid UTF-8": body(offer, '"\xff"').replace(b"\xc3\xbf", b"\xff"),
        "BOM": b"\xef\xbb\xbf" + body(offer),
        "UTF-16": body(offer).decode().encode("utf-16"),
        "lone surrogate": body(offer, r'"\ud800"'),
        NUL_MODEL: b'{"model":"a\\u0000b","messages":[{"role":"user","content":"x"}]}',
        "duplicate model": body(offer, more=f',"model":"{offer.model}"'),
        "duplicate limit": body(offer, more=',"max_tokens":5,"max_tokens":6'),
        "100,000 messages": f'{bare},"messages":{items}}}'.encode(),
        "no object": b"[1]",
        "a text": b'"model"',
        "empty": b"",
        "cut short": body(offer)[:-3],
        "two values": body(offer) + b"{}",
        "messages not a list": f'{bare},"messages":{{}}}}'.encode(),
        "message not an object": f'{bare},"messages":[1]}}'.encode(),
        "negative max_tokens": body(offer, more=',"max_tokens":-1'),
        "n of a million": body(offer, more=',"n":1000000'),
        "stream as text": body(offer, more=',"stream":"yes"'),
        "own upstream": body(offer, more=',"api_base":"http://example.com"'),
    }
    found: dict[str, tuple[bytes, dict[str, str]]]
    found = {name: (data, {}) for name, data in plain.items()}
    bomb = gzip.compress(b" " * 50_000_000)
    found["gzip bomb"] = (bomb, {"Content-Encoding": "gzip"})
    found["not JSON"] = (body(offer), {"Content-Type": "text/plain"})
    return found


NAMES = list(hostile(Offer("m", [], [])))
REFUSED = {400, 413, 415, 422}


async def send(
    rig: Rig, path: str, data: bytes, key: str = "", **headers: str
) -> tuple[int, bytes]:
    """Status and body; every answer is ours, and has the request's id."""
    sent = {
        "Authorization": f"Bearer {key or rig.key}",
        "Content-Type": "application/json",
        **headers,
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(rig.url_of + path, data=io.BytesIO(data), headers=sent) as answer,
    ):
        raw = await answer.read()
        if answer.status != 200:
            error = orjson.loads(raw)["error"]
            assert error["request_id"] == answer.headers["x-request-id"], raw
        return answer.status, raw


@pytest.mark.parametrize("name", NAMES)
async def test_body__hostile__is_refused_and_costs_nothing(rig: Rig, name: str) -> None:
    offer = rig.provide("ok-12")
    data, headers = hostile(offer)[name]
    before = cpu_s(rig)
    for _ in range(RUNS):
        for stream in (b'"stream":true', b'"stream":false'):
            sent = data.replace(b'{"model"', b"{" + stream + b',"model"', 1)
            status, raw = await send(rig, "/v1/chat/completions", sent, **headers)
            # A name with a NUL is only a model that nobody has.
            assert status in REFUSED or (name, status) == (NUL_MODEL, 404), (status, raw)  # fmt: skip
            rig.case.inject("body")
    each = (cpu_s(rig) - before) / (2 * RUNS) * 1000
    rig.case.runs = f"{RUNS} times, streamed and not"
    rig.case.figure("CPU each", f"{each:.0f} ms")
    assert not FULL or each <= CPU_MS
    assert rig.reached(offer) == 0
    assert rig.counter() == (0, 0, 0)
    rig.settled()


USERS = [r"a\u0000b", r"\ud800", "x" * 100_000, "é" * 300, r"\n\r\t", "a'; DROP TABLE x"]  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/llm/complete"])
async def test_user__hostile_name__is_refused_or_served_but_never_breaks(
    rig: Rig, path: str
) -> None:
    offer = rig.provide("ok-12")
    key = rig.new_key(scopes=["llm", "act_as", "bill_user"])
    free = {"name": "Free", "daily_requests": 1000}
    rig.db(Tier.objects.update_or_create, key="free", defaults=free)
    for user in USERS:
        chat = body(offer, more=f',"user":"{user}"')
        short = f'{{"model":"{offer.model}","prompt":"hi","userId":"{user}"}}'.encode()
        data = short if path.endswith("complete") else chat
        status, raw = await send(rig, path, data, key)
        assert status in {200, *REFUSED}, (user[:20], status, raw)
        rig.case.inject("user name")
    rig.case.runs = f"{len(USERS)} names"
    rig.settled()


def cpu_s(rig: Rig) -> float:
    """CPU seconds of the web processes so far."""
    times = [psutil.Process(web.pid).cpu_times() for web in rig.webs]
    return float(sum(one.user + one.system for one in times))
