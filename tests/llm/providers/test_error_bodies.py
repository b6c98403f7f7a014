"""A provider's words are kept whatever form its error has, and secrets are not."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.providers.error_body import MOST_TEXT, error_of, error_within, read_error
from llm.providers.redaction import HIDDEN, redact, redact_error
from llm.upstream.client_errors import MOST_MESSAGE, words

SAID = "The prompt is too long."
PAGE = f"""<!DOCTYPE html><html><head><title>413 Too Large</title>
<style>body {{ color: red }}</style><script>alert("<b>no</b>")</script></head>
<body><center><h1>413 Too Large</h1></center><p>{SAID}</p></body></html>"""
ERROR = {"message": SAID, "type": "invalid_request_error", "code": "too_long"}
FORMS: dict[str, Any] = {
    "openai": {"error": ERROR},
    "flat": ERROR,
    "vllm": {
        "object": "error",
        "message": SAID,
        "type": "BadRequestError",
        "code": 400,
    },
    "anthropic": {"type": "error", "error": {"type": "invalid", "message": SAID}},
    "error as text": {"error": SAID},
    "error and message": {"error": "Bad Request", "message": SAID, "statusCode": 400},
    "oauth": {"error": "invalid_request", "error_description": SAID},
    "nest": {
        "statusCode": 400,
        "message": [SAID, "Shorten it."],
        "error": "Bad Request",
    },
    "detail": {"detail": SAID},
    "detail list": {"detail": [{"loc": ["body", "n"], "msg": SAID, "type": "value"}]},
    "detail object": {"detail": {"error": {"message": SAID}}},
    "errors": {"errors": [{"message": SAID}, {"message": "Shorten it."}]},
    "errors as texts": {"errors": [SAID]},
    "errors by field": {"errors": {"messages": [SAID]}},
    "fields": {"messages": [SAID], "n": ["Not a number."]},
    "cloudflare": {"success": False, "errors": [{"code": 7003, "message": SAID}]},
    "grpc": {"code": 3, "message": SAID, "details": [{"reason": "TOO_LONG"}]},
    "google list": [{"error": {"code": 400, "message": SAID, "status": "INVALID"}}],
    "list of texts": [SAID],
    "aws": {"__type": "ValidationException", "Message": SAID},
    "rfc 9457": {"type": "about:blank", "title": "Bad", "status": 400, "detail": SAID},
    "minimax": {"base_resp": {"status_code": 2013, "status_msg": SAID}},
    "msg": {"code": 400, "msg": SAID},
    "openrouter": {
        "error": {
            "message": "Provider returned error",
            "code": 400,
            "metadata": {"raw": orjson.dumps({"error": ERROR}).decode()},
        }
    },
    "json in json": {"error": {"message": orjson.dumps({"error": ERROR}).decode()}},
    "json as text": orjson.dumps({"detail": SAID}).decode(),
    "text": SAID,
    "page": PAGE,
    "page in json": {"error": {"message": PAGE}},
}


@pytest.mark.parametrize("form", FORMS)
def test_error__form__keeps_its_words(form: str) -> None:
    assert SAID in error_of(FORMS[form])["message"]


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (SAID.encode(), {"message": SAID}),
        (b"\xef\xbb\xbf" + orjson.dumps({"error": SAID}), {"message": SAID}),
        (b"data: " + orjson.dumps({"error": ERROR}) + b"\n\n", ERROR),
        (b"event: error\ndata: " + orjson.dumps(ERROR) + b"\n\n", ERROR),
        (PAGE.encode(), {"message": f"413 Too Large {SAID}"}),
        (b"", {}),
        (b"[]", {}),
        (b"null", {}),
        (b'{"error":null}', {}),
        (b'{"error":7}', {}),
        (b'{"error":{"code":"x"}}', {"code": "x"}),
        (b'{"ok', {"message": '{"ok'}),
        (b"\xff\xfe", {"message": "\ufffd\ufffd"}),
        (b"[" * 5000 + b"]" * 5000, {"message": "[" * 5000 + "]" * 5000}),
    ],
)
def test_error_bytes__any__are_read(raw: bytes, found: dict[str, Any]) -> None:
    assert read_error(raw) == found


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"detail": [{"loc": ["body", "n", 0], "msg": "no"}]}, "body.n.0"),
        ({"error": {"message": "no", "param": "n"}}, "n"),
    ],
)
def test_error__field_told__is_the_param(body: Any, param: str) -> None:
    assert error_of(body)["param"] == param


def test_error__beside_an_answer__tells_nothing_of_the_answer() -> None:
    body = {"error": True, "choices": [{"message": {"content": "Secret."}}]}
    assert error_within(body) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["error", "message", "detail", "errors", "code", "type", "loc", "msg"]
                + ["metadata", "raw", "details", "reason", "base_resp", "status"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(body=JSON, raw=st.binary(max_size=300))
def test_error__any_body__is_an_object_with_bounded_words(
    body: Any, raw: bytes
) -> None:
    for found in (error_of(body), error_within(body), read_error(raw)):
        assert isinstance(found, dict)
        assert isinstance(found.get("message", ""), str)
        assert len(words(found, MOST_MESSAGE)) <= MOST_MESSAGE


def test_error_page__many_open_tags__is_read_at_once() -> None:
    page = "<html>" + "<script " * MOST_TEXT
    assert len(read_error(page.encode()).get("message", "")) <= MOST_TEXT


KEY = "sk-proj-Ab12Cd34Ef56Gh78"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            f"Incorrect API key provided: {KEY}.",
            f"Incorrect API key provided: {HIDDEN}.",
        ),
        (f"Key {KEY[:14]}... is off.", f"Key {HIDDEN}... is off."),
        (f"Key ...{KEY[-9:]}", f"Key ...{HIDDEN}"),
        ("Key sk-abc1****wxyz", f"Key {HIDDEN}"),
        ("From https://me:pass@host/v1", f"From https://{HIDDEN}@host/v1"),
        ("GET /v1?key=abcdef&n=1", f"GET /v1?key={HIDDEN}&n=1"),
        ("Sent Bearer abcdefghijk", f"Sent Bearer {HIDDEN}"),
        ("The key takes no tokens.", "The key takes no tokens."),
    ],
)
def test_redact__text_with_a_secret__loses_just_that(said: str, shown: str) -> None:
    assert redact(said, KEY) == shown


def test_redact__no_key_or_a_tiny_one__leaves_the_words() -> None:
    assert redact("a or b", "") == redact("a or b", "a") == "a or b"


@settings(max_examples=100, derandomize=True, deadline=None)
@given(key=st.text("abcXYZ019-_", min_size=8, max_size=40), around=st.text(max_size=20))
def test_redact__key_anywhere__never_stays(key: str, around: str) -> None:
    error = error_of({"error": {"message": around + key + around, "code": key}})
    assert key not in str(redact_error(error, key).values())
