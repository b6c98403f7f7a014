"""OpenAI itself."""

from .base import Kind, classify

KIND = Kind(title="OpenAI", classify=classify, responses=True)
