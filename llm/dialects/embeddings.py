"""Embeddings, passed on as they are."""

from typing import Any

from llm.dialects.base import Dialect, Malformed, WholeReply
from llm.types import AdmittedCall, Candidate


class Embeddings(Dialect):
    path = "/embeddings"
    answer = "data"

    def body(self, held: AdmittedCall, candidate: Candidate) -> dict[str, Any]:
        return {**held.plan.body, "model": candidate.upstream_model}

    def _whole(
        self, held: AdmittedCall, parsed: dict[str, Any], raw: bytes
    ) -> WholeReply:
        if not isinstance(parsed.get("data"), list) or not parsed["data"]:
            raise Malformed("The reply has no embeddings.")
        return WholeReply(raw, parsed.get("usage"), 0, natural=True)


DIALECT = Embeddings()
