"""Responses, translated for providers that only have chat completions."""

import time
from typing import Any

from llm.dialects.base import (
    Dialect,
    Piece,
    Sort,
    StreamReader,
    UnreadableReply,
    WholeReply,
)
from llm.dialects.chat import ChatStream, adapt_body, as_whole, check_choices, parse
from llm.replies.stored import DONE
from llm.translate import ResponseStream, to_chat, to_response
from llm.types import AdmittedCall, Candidate
from valuecanvas.core import json_numbers
from valuecanvas.core.errors import GatewayError


def _response_id(held: AdmittedCall) -> str:
    return f"resp_{held.call.id.hex}"


class TranslatedStream(StreamReader):
    """Turns chat chunks into Responses events."""

    def __init__(self, held: AdmittedCall) -> None:
        self._chat = ChatStream(include_usage=True)
        self._events = ResponseStream(
            request=held.plan.body,
            response_id=_response_id(held),
            created=int(time.time()),
        )

    def _read(self, raw: bytes, payload: bytes) -> Piece:
        piece = self._chat.read(raw, payload)
        self.usage, self.size = self._chat.usage, self._chat.size
        self.pieces, self.finished = self._chat.pieces, self._chat.finished
        self.filtered, self.natural = self._chat.filtered, self._chat.natural
        if piece.sort in (Sort.DONE, Sort.ERROR):
            return piece
        return Piece(piece.sort, b"".join(self._events.feed(parse(payload))))

    def ending(self) -> bytes:
        return b"".join(self._events.finish(int(time.time()))) + DONE

    def error_event(self, error: dict[str, Any]) -> bytes:
        return b"".join(self._events.fail(error))


class ResponsesViaChat(Dialect):
    path = "/chat/completions"
    # A translation takes far longer than reading JSON.
    most_on_loop = 65_536

    def body(self, held: AdmittedCall, candidate: Candidate) -> dict[str, Any]:
        return adapt_body(to_chat(held.plan.body), held, candidate)

    def _whole(
        self, held: AdmittedCall, parsed: dict[str, Any], raw: bytes
    ) -> WholeReply:
        check_choices(parsed)
        try:
            response = to_response(
                json_numbers.loads(raw) if json_numbers.may_round(raw) else parsed,
                request=held.plan.body,
                response_id=_response_id(held),
                created=int(time.time()),
            )
        except GatewayError as error:
            raise UnreadableReply(error.message) from error
        return as_whole(json_numbers.dumps(response), parsed)

    def reader(self, held: AdmittedCall) -> TranslatedStream:
        return TranslatedStream(held)


DIALECT = ResponsesViaChat()
