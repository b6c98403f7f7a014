"""The wire formats of the endpoints: paths, bodies, and the parts of answers."""

from llm.dialects import chat, embeddings, responses, responses_via_chat
from llm.dialects.base import Dialect
from llm.types import Candidate


def choose(endpoint: str, candidate: Candidate) -> Dialect:
    """The dialect in which `candidate` serves `endpoint`."""
    if endpoint == "embeddings":
        return embeddings.DIALECT
    if endpoint == "chat":
        return chat.DIALECT
    if candidate.provider.kind.responses:
        return responses.DIALECT
    return responses_via_chat.DIALECT
