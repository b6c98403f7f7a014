"""Examples of answers, made from their schemas and from one value for each field."""

from collections.abc import Mapping
from typing import Any

EXAMPLE_ID = "0198c0de-7a31-7c1e-9f57-3f2b8a6d4e10"
_BY_FORMAT: Mapping[str, Any] = {
    "uuid": EXAMPLE_ID,
    "date-time": "2026-01-31T08:00:00Z",
    "date": "2026-01-31",
    "uri": "https://app.example.com/hook",
    "decimal": "0.41",
}
_BY_TYPE: Mapping[str, Any] = {
    "integer": 2,
    "number": 0.5,
    "boolean": False,
    "object": {},
}
# A name may stand for a text here and a number there.
_TYPES: Mapping[str, Any] = {
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "string": str,
}
# What a field shows that has no value here; a test finds it.
MISSING = "..."
# A field that has another meaning in one component is written `Component.field`.
_VALUES: Mapping[str, Any] = {
    "actor": "kim",
    "actor_name": "kim",
    "after": {"percent": 25},
    "after_minutes": 60,
    "arm": "kinder",
    "at": "2026-01-31T08:00:00Z",
    "attempts": 1,
    "author": "kim",
    "before": {"percent": 5},
    "body": {"id": "chatcmpl-7Q2w", "object": "chat.completion"},
    "by": "kim",
    "bytes": 1024,
    "code": "upstream_error",
    "comment": "Just right.",
    "completion_tokens": 2,
    "completion_window": "24h",
    "concurrent_requests": 10,
    "conditions": {"attribute": "country", "operator": "is", "value": "SE"},
    "content": "Answer {{name}} kindly.",
    "cost_per_request_usd": "0.002",
    "cost_usd": "0.41",
    "createdAt": "2026-01-31T08:00:00Z",
    "created_at": 1769846400,
    "created_by_name": "kim",
    "customId": "line-1",
    "custom_id": "line-1",
    "daily_requests": 1000,
    "default": "friend",
    "deleted": True,
    "description": "The first answer to a customer.",
    "details": {},
    "diff": "@@ -1 +1 @@\n-Answer {{name}}.\n+Answer {{name}} kindly.\n",
    "digest": "9f86d081884c7d65",
    "disabledReason": None,
    "endpoint": "/v1/chat/completions",
    "error": "",
    "error_code": "upstream_timeout",
    "error_file_id": None,
    "expected": "Errors stay below 5 %.",
    "expires_at": 1769932800,
    "explanation": "The rule 'Sweden' matches.",
    "failed_attempts": {"provider": "together", "error_code": "upstream_timeout"},
    "filename": "requests.jsonl",
    "first_id": "file-0198c0de7a317c1e9f573f2b8a6d4e10",
    "flags": {"key": "new-checkout", "value": True, "reason": "STATIC"},
    "folder": "Support",
    "headline": "'kinder' is better.",
    "held_usd": "0.02",
    "host": "worker-1",
    "hypothesis": "Kinder words are rated better.",
    "id": "0198c0de7a317c1e9f573f2b8a6d4e10",
    "input_file_id": "file-0198c0de7a317c1e9f573f2b8a6d4e10",
    "key": "support.reply",
    "keys": "gpt-4o-mini",
    "killed_reason": "",
    "kind": "boolean",
    "label": "production",
    "labels": "production",
    "last_id": "file-0198c0de7a317c1e9f573f2b8a6d4e10",
    "latency_ms": 412,
    "left": 988,
    "limit": 1000,
    "limit_usd": "50.00",
    "limits": {"error_rate": 0.05},
    "max_output_tokens": 4096,
    "max_tokens": 4096,
    "message": "The provider answered with status 500.",
    "metadata": {"from": "web"},
    "metric": "feedback",
    "model": "gpt-4o-mini",
    "name": "new-checkout",
    "nextCursor": None,
    "next_cursor": None,
    "note": "Kinder.",
    "object": "job",
    "outcome": "ok",
    "output_file_id": "file-0198c0de7a317c1e9f573f2b8a6d4e11",
    "owner": "kim",
    "p50_ms": 380,
    "p95_ms": 910,
    "param": None,
    "parameters": {"temperature": 0.2},
    "payload": {"percent": 25},
    "period": "month",
    "phase": "running",
    "plan": {"latency_ms": 500},
    "progress": 100,
    "prompt": "support.reply",
    "prompt_tokens": 11,
    "provider": "openai",
    "purpose": "batch",
    "ramp": "",
    "reason": "Errors after the release of 14:00.",
    "request_id": EXAMPLE_ID,
    "requests": 200,
    "requests_per_minute": 60,
    "role": "user",
    "rule": "Sweden",
    "schema": {"type": "string"},
    "scope": "customer",
    "secret": None,
    "seen": "Errors were 1.2 %.",
    "sentences": "'kinder' is rated 0.1 better than 'control' (p = 0.01).",
    "settings": {"enabled": True, "percent": 5},
    "share": 1000,
    "spent_usd": "12.50",
    "started_by": "kim",
    "state": "enabled",
    "status": "processed",
    "status_code": 200,
    "step": "settlement",
    "steps": [{"share": 5000, "after_minutes": 60}],
    "stopped_by": "",
    "tags": "support",
    "team": "web",
    "template": "Answer {{name}} kindly.",
    "text": "Answer Kim kindly.",
    "tier": "pro",
    "tiers": "pro",
    "tokens_per_minute": 100_000,
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "ttft_ms": 180,
    "type": "completion",
    "unit": "requests",
    "upgrade_url": "https://app.example.com/upgrade",
    "used": 12,
    "used_today": 12,
    "user_id": "user-123",
    "users": 150,
    "value": True,
    "variables": {},
    "variant": "on",
    "winner": "kinder",
    "Arm.name": "kinder",
    "BatchFaults.object": "list",
    "Callback.object": "callback",
    "ChaosRun.kind": "experiment",
    "ChaosRun.name": "Slow answers",
    "ChaosRunDetail.kind": "experiment",
    "ChaosRunDetail.name": "Slow answers",
    "Evaluation.key": "new-checkout",
    "Evaluation.reason": "TARGETING_MATCH",
    "Experiment.key": "kinder-replies",
    "ExperimentDetail.key": "kinder-replies",
    "ExperimentVerdict.kind": "mean",
    "Feedback.object": "feedback",
    "FileDeleted.object": "file",
    "FileList.object": "list",
    "FileObject.object": "file",
    "JobBatch.object": "batch",
    "LimitState.name": "Requests a day",
    "OfrepSuccess.key": "new-checkout",
    "OfrepSuccess.reason": "TARGETING_MATCH",
    "OpenAIBatch.object": "batch",
    "OpenAIBatchList.object": "list",
    "OwnTier.key": "pro",
    "OwnTier.name": "Pro",
    "PromptLabel.name": "production",
    "PromptVariable.name": "name",
    "QueueDepth.state": "queued",
    "RequestDetail.explanation": "It was answered by openai.",
    "RequestDetail.key": "web",
    "RequestDetail.object": "request",
}


def make_example(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Any:
    """A value that fits `schema`, with each of its properties."""
    return _make(schema, components, "", "")


def _make(node: Mapping[str, Any], components: Any, owner: str, field: str) -> Any:
    if "$ref" in node:
        owner = node["$ref"].rpartition("/")[2]
        return _make(components[owner], components, owner, field)
    if branches := node.get("allOf", node.get("anyOf")):
        return _make(branches[0], components, owner, field)
    if "properties" in node:
        return {
            name: _make(below, components, owner, name)
            for name, below in node["properties"].items()
        }
    return _make_leaf(node, components, owner, field)


def _make_leaf(node: Mapping[str, Any], components: Any, owner: str, field: str) -> Any:
    kinds = node.get("type", [])
    kind = kinds if isinstance(kinds, str) else next(iter(kinds), "")
    if kind == "array":
        return [_make(node["items"], components, owner, field)]
    if "enum" in node:
        return node["enum"][0]
    default = _BY_FORMAT.get(node.get("format", ""), _BY_TYPE.get(kind, MISSING))
    if kind == "integer":
        default = max(default, node.get("minimum", default))
    value = _VALUES.get(f"{owner}.{field}", _VALUES.get(field, default))
    fits = kind not in _TYPES or isinstance(value, _TYPES[kind])
    return value if fits or (value is None and "null" in kinds) else default
