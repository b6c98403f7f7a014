"""The response cache's values: keys, signed entries, streams from and to wholes."""

import random
import string
import uuid
from dataclasses import replace

import orjson
import pytest
import zstandard

from llm.cache import entry, replay
from llm.cache.assembly import Assembly, natural
from llm.cache.directives import DEFAULT, MOST_TTL_S, parse
from llm.cache.entry import Entry
from llm.cache.secret import answer_cipher
from valuecanvas.core.errors import InvalidRequest

ANSWER = Entry(
    body=b'{"choices": []}',
    at=1.5,
    provider="p",
    upstream_model="m",
    cost=7,
    prompt_tokens=1,
    completion_tokens=2,
    cached_tokens=0,
)


def packed(**changes):
    return entry.pack(replace(ANSWER, **changes), tenant="c:1", key="abc")


def test_entry__packed_and_unpacked__is_the_same():
    assert entry.unpack(packed(), tenant="c:1", key="abc") == ANSWER


@pytest.mark.parametrize(
    ("tenant", "key"), [("c:2", "abc"), ("c:1", "abd"), ("g:", "abc")]
)
def test_entry__of_another_tenant_or_key__is_a_miss(tenant, key):
    assert entry.unpack(packed(), tenant=tenant, key=key) is None


def opened(value):
    """What is inside of `packed`."""
    plain = answer_cipher("c:1", "abc").decrypt(value[:12], value[12:], None)
    return orjson.loads(zstandard.decompress(plain))


def sealed(plain):
    """A value that only who has the secret can make."""
    return b"n" * 12 + answer_cipher("c:1", "abc").encrypt(b"n" * 12, plain, None)


def test_entry__packed__cannot_be_read():
    text = b"Personal data that is long enough to be compressed. " * 20
    value = packed(body=text)
    assert text not in value
    assert len(value) < len(text)
    with pytest.raises(zstandard.ZstdError):
        zstandard.decompress(value[12:])
    assert packed(body=text) != value


def test_entry__changed_anywhere__is_a_miss():
    value = packed()
    for at in range(len(value)):
        changed = value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
        assert entry.unpack(changed, tenant="c:1", key="abc") is None, at
        assert entry.unpack(value[:at], tenant="c:1", key="abc") is None, at


@pytest.mark.parametrize(
    "written",
    [
        {"form": "later"},
        {"form": 3},
        {"form": ["a"]},
        {"tokens": [1, 2]},
        {"tokens": [1, 2, 3, 4]},
        {"tokens": {"prompt": 1}},
        {"tokens": None},
        {"body": {"a": 1}},
        {"body": None},
        *({name: ...} for name in ("body", "at", "provider", "cost", "tokens")),
    ],
)
def test_entry__genuine_and_of_another_release__is_a_miss(written):
    envelope = {**opened(packed()), **written}
    envelope = {name: value for name, value in envelope.items() if value is not ...}
    value = sealed(zstandard.compress(orjson.dumps(envelope)))
    assert entry.unpack(value, tenant="c:1", key="abc") is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"not zstd",
        zstandard.compress(b"[]"),
        zstandard.compress(b'"text"'),
        zstandard.compress(b"{}"),
        zstandard.compress(b"{"),
    ],
)
def test_entry__rubbish_in_redis_or_sealed__is_a_miss(value):
    assert entry.unpack(sealed(value), tenant="c:1", key="abc") is None
    assert entry.unpack(value, tenant="c:1", key="abc") is None


def chat(content="Hello there, dear reader of this.", **message):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, **message},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }


def assembled(events):
    assembly = Assembly()
    for event in events:
        assembly.add(orjson.loads(event[len(b"data: ") :]))
    return assembly


def whole(assembly, usage=None):
    body = assembly.whole(usage or {})
    assert body is not None
    return orjson.loads(body)


def test_replay__assembled_again__is_the_same_answer():
    source = random.Random(7)
    for length in range(0, 400, 13):
        text = "".join(source.choices(string.printable + "äöü語", k=length))
        call = {
            "id": "call_1",
            "type": "function",
            "function": {"name": "f", "arguments": '{"a": 1}'},
        }
        body = chat(text, tool_calls=[call, {**call, "id": "call_2"}])
        events = replay.events(orjson.dumps(body), include_usage=True)
        again = whole(assembled(events))
        message = again["choices"][0]["message"]
        assert (message["content"] or "") == text
        assert message["tool_calls"] == body["choices"][0]["message"]["tool_calls"]
        assert again["usage"] == body["usage"]
        assert again["id"] == body["id"]


def test_replay__usage_not_asked__has_none():
    events = replay.events(orjson.dumps(chat()), include_usage=False)
    assert not any(b'"usage"' in event for event in events)


def test_replay__usage_asked__comes_last_with_null_before():
    chunks = [
        orjson.loads(event[6:])
        for event in replay.events(orjson.dumps(chat()), include_usage=True)
    ]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 3
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


def test_assembly__logprobs_and_pieces_of_calls__are_joined():
    assembly = Assembly()
    for delta, logprobs in [
        ({"content": "a"}, {"content": [1]}),
        ({"content": "b"}, {"content": [2], "refusal": None}),
        ({"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f"}}]}, None),
        ({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}, None),
    ]:
        assembly.add({"id": "1", "choices": [{"delta": delta, "logprobs": logprobs}]})
    assert not assembly.natural
    assembly.add({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    assert assembly.natural
    choice = whole(assembly, {"prompt_tokens": 9})["choices"][0]
    assert choice["logprobs"]["content"] == [1, 2]
    assert choice["message"]["content"] == "ab"
    assert choice["message"]["tool_calls"][0]["function"] == {
        "name": "f",
        "arguments": "{}",
    }


@pytest.mark.parametrize("reason", [["stop"], {"a": 1}, 5])
def test_assembly__reason_that_is_no_text__cannot_be_joined(reason):
    assembly = Assembly()
    assembly.add({"choices": [{"delta": {}, "finish_reason": reason}]})
    assert assembly.lossy


def test_assembly__too_deep_to_be_written__is_none():
    assembly = Assembly()
    assembly.add({"usage": orjson.loads(b"[" * 300 + b"]" * 300)})
    assert assembly.whole({}) is None


def test_natural__cut_by_length__is_not():
    body = chat()
    assert natural(body)
    body["choices"][0]["finish_reason"] = "length"
    assert not natural(body)
    assert not natural({"choices": []})


def test_directives__no_headers__are_the_defaults():
    assert parse({}) is DEFAULT


@pytest.mark.parametrize(
    ("control", "read", "write", "max_age"),
    [
        ("no-store", False, False, None),
        ("no-cache", False, True, None),
        ("max-age=0", False, True, 0),
        ("Max-Age=60, private", True, True, 60),
        ("max-age=x", True, True, None),
        ("max-age=99999999999999", True, True, MOST_TTL_S),
        pytest.param("max-age=" + "9" * 5000, True, True, MOST_TTL_S, id="long"),
    ],
)
def test_directives__cache_control__is_obeyed(control, read, write, max_age):
    found = parse({"HTTP_CACHE_CONTROL": control})
    assert (found.read, found.write, found.max_age_s) == (read, write, max_age)


def test_directives__a_ttl_in_bounds__is_taken():
    assert parse({"HTTP_X_VALUECANVAS_CACHE_TTL": "60"}).ttl_s == 60


@pytest.mark.parametrize(
    "ttl",
    [
        "0",
        "-1",
        "x",
        "1.5",
        str(MOST_TTL_S + 1),
        "１",
        pytest.param("9" * 5000, id="long"),
    ],
)
def test_directives__a_ttl_out_of_bounds__is_refused_by_name(ttl):
    with pytest.raises(InvalidRequest) as caught:
        parse({"HTTP_X_VALUECANVAS_CACHE_TTL": ttl})
    assert caught.value.param == "x-valuecanvas-cache-ttl"


def test_entry__a_real_id__survives():
    body = orjson.dumps({"id": str(uuid.uuid4())})
    value = packed(body=body)
    found = entry.unpack(value, tenant="c:1", key="abc")
    assert found is not None
    assert found.body == body
