"""Translation between the Responses API and Chat Completions: pure functions."""

from llm.translate.replies import to_response
from llm.translate.requests import to_chat
from llm.translate.response_stream import ResponseStream

__all__ = ["ResponseStream", "to_chat", "to_response"]
