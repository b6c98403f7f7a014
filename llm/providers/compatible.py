"""Any other endpoint that speaks the OpenAI wire format."""

from llm.providers.base import Kind, classify

KIND = Kind(title="OpenAI-compatible", classify=classify)
