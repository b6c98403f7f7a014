"""The hot path's response sends the headers that Django's own would send."""

import asyncio
from typing import Any

import pytest
from django.http import BadHeaderError, HttpResponse

from llm.replies.http_responses import HotResponse
from valuecanvas.http import hot
from valuecanvas.http.protocol.write_timeout import TimedSender


def sent(response: HotResponse) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    async def run() -> None:
        sender = TimedSender(send, 60, lambda: None)
        await hot.send_whole(response, sender)
        sender.close()

    asyncio.run(run())
    return messages


@pytest.mark.parametrize(
    "value", ["", "plain", "caf\u00e9", "\u043a\u043b\u044e\u0447", "\u4e2d" * 200]
)
def test_header__of_any_text__is_encoded_as_by_django(value: str) -> None:
    headers = dict(sent(HotResponse(b"", {"x-text": value}))[0]["headers"])
    django = HttpResponse(headers={"x-text": value})
    assert headers[b"x-text"].decode("latin-1") == django["x-text"]


@pytest.mark.parametrize("value", ["a\nb: c", "a\rb", "\u043a\n", "\r\n"])
def test_header__with_a_line_break__is_refused(value: str) -> None:
    with pytest.raises(BadHeaderError):
        HotResponse(b"", {"x-text": value})


@pytest.mark.parametrize(("status", "length"), [(200, b"2"), (204, None), (304, None)])
def test_length__of_a_body__is_sent_where_one_may_be(
    status: int, length: bytes | None
) -> None:
    start = sent(HotResponse(b"ok", {}, status))[0]
    assert start["status"] == status
    assert dict(start["headers"]).get(b"content-length".title()) == length
