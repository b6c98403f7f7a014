"""Any other endpoint that speaks the OpenAI wire format."""

from llm.providers.base import Kind
from llm.providers.error_words import classify

KIND = Kind(title="OpenAI-compatible", classify=classify)
