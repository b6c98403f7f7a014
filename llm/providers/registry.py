"""The kinds of provider. A new kind is one file here and one row below."""

from llm.providers import compatible, openai, together
from llm.providers.base import ProviderKind

KINDS: dict[str, ProviderKind] = {
    "together": together.KIND,
    "openai": openai.KIND,
    "compatible": compatible.KIND,
}
