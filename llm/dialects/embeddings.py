"""Embeddings, relayed as they are."""

from typing import Any

from llm.dialects.base import Dialect, Malformed, Whole
from llm.types import Candidate, Held


class Embeddings(Dialect):
    path = "/embeddings"
    answer = "data"

    def body(self, held: Held, candidate: Candidate) -> dict[str, Any]:
        return {**held.plan.body, "model": candidate.upstream_model}

    def _whole(self, held: Held, parsed: dict[str, Any], raw: bytes) -> Whole:
        if not isinstance(parsed.get("data"), list) or not parsed["data"]:
            raise Malformed("The reply has no embeddings.")
        return Whole(raw, parsed.get("usage"), 0, natural=True)


DIALECT = Embeddings()
