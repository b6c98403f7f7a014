"""Any other endpoint that speaks the OpenAI wire format."""

from llm.providers.base import ProviderKind
from llm.providers.error_words import classify

KIND = ProviderKind(title="OpenAI-compatible", classify=classify)
