"""Any other endpoint that speaks the OpenAI wire format."""

from .base import Kind, classify

KIND = Kind(title="OpenAI-compatible", classify=classify)
