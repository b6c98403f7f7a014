"""Examples for the OpenAPI document, by the id of the operation.

Answers that are not here have one made from their schemas: answer_examples.py.
"""

from collections.abc import Mapping
from typing import Any

MODEL = "gpt-4o-mini"
EVENTS, LINES = "text/event-stream", "application/x-ndjson"
_WHY = {"reason": "Errors after the release of 14:00."}
_SEEN = {**_WHY, "expected_revision": 3}
_CONTEXT = {"context": {"targetingKey": "user-123", "country": "SE"}}
_CHAT = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Name a colour."}],
}
REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "archiveFlag": _SEEN,
    "compilePrompt": {"label": "production", "variables": {"name": "Kim"}},
    "completePrompt": {"model": MODEL, "prompt": "Name a colour.", "maxTokens": 20},
    "createBatch": {
        "input_file_id": "file-0198c0de7a317c1e9f573f2b8a6d4e10",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    },
    "createChatCompletion": _CHAT,
    "createEmbedding": {"model": MODEL, "input": ["A colour."]},
    "createFlag": {
        "name": "new-checkout",
        "kind": "boolean",
        "purpose": "release",
        "note": "The new checkout, a few customers at first.",
        "percent": 5,
        "enabled": True,
        "reason": "Ready for the first customers.",
    },
    "createPrompt": {
        "key": "support.reply",
        "kind": "text",
        "folder": "Support",
        "description": "The first answer to a customer.",
        "tags": ["support"],
    },
    "createPromptVersion": {
        "template": "Answer {{name}} kindly.",
        "variables": [{"name": "name", "description": "Who wrote."}],
        "note": "Kinder.",
    },
    "createResponse": {"model": MODEL, "input": "Name a colour."},
    "disableFlag": _SEEN,
    "editCustomer": {"suspended": False, "requests_per_minute": 60},
    "editFlag": {"percent": 25, **_SEEN},
    "editPrompt": {"description": "The first answer to a customer."},
    "enableFlag": _SEEN,
    "evaluateFlag": _CONTEXT,
    "evaluateFlags": _CONTEXT,
    "explainFlag": _CONTEXT,
    "finishPromptRollout": _WHY,
    "killFlag": _WHY,
    "movePromptLabel": {"version": 2, "expected_version": 1, **_WHY},
    "pausePromptRollout": _WHY,
    "rampFlag": {
        "to": 100,
        "step": 25,
        "every_minutes": 60,
        "start": "2030-01-31T08:00:00Z",
        **_WHY,
    },
    "restoreFlag": _SEEN,
    "resumePromptRollout": _WHY,
    "revertFlag": {"event": 17, **_SEEN},
    "reviveFlag": _SEEN,
    "rollBackPrompt": {"to": 1, **_WHY},
    "rollBackPromptRollout": _WHY,
    "scheduleFlagChange": {
        "kind": "set_percent",
        "at": "2030-01-31T08:00:00Z",
        "payload": {"percent": 25},
        **_WHY,
    },
    "sendFeedback": {
        "request_id": "0198c0de-7a31-7c1e-9f57-3f2b8a6d4e10",
        "score": 1,
        "comment": "Just right.",
    },
    "setPromptRolloutShare": {"share": 2500, "expected_share": 1000, **_WHY},
    "startPromptRollout": {
        "version": 2,
        "share": 1000,
        "steps": [{"share": 5000, "after_minutes": 60}],
        **_WHY,
    },
    "submitBatch": {
        "endpoint": "/v1/chat/completions",
        "requests": [{"custom_id": "line-1", "body": _CHAT}],
    },
    "submitJob": {"type": "completion", "model": MODEL, "body": _CHAT},
}
_USAGE = {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13}
_MODEL = {"id": MODEL, "object": "model", "created": 1735689600, "owned_by": "openai"}
_COMPLETION = {
    "id": "chatcmpl-7Q2w",
    "object": "chat.completion",
    "created": 1735689600,
    "model": MODEL,
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Blue."},
            "finish_reason": "stop",
        }
    ],
    "usage": _USAGE,
}
ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "completePrompt": {
        "content": "Blue.",
        "cost": 0.000003,
        "cached": False,
        "provider": "openai",
        "model": MODEL,
        "usage": _USAGE,
        "request_id": "0198c0de-7a31-7c1e-9f57-3f2b8a6d4e10",
    },
    "createChatCompletion": _COMPLETION,
    "createEmbedding": {
        "object": "list",
        "model": MODEL,
        "data": [{"object": "embedding", "index": 0, "embedding": [0.12, -0.03]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    },
    "createResponse": {
        "id": "resp_0198c0de7a317c1e9f573f2b8a6d4e10",
        "object": "response",
        "created_at": 1735689600,
        "model": MODEL,
        "status": "completed",
        "output": [
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [
                    {"type": "output_text", "text": "Blue.", "annotations": []}
                ],
            }
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {"input_tokens": 11, "output_tokens": 2, "total_tokens": 13},
    },
    "getGatewayHealth": {"status": "ok"},
    "getJobResult": _COMPLETION,
    "listModels": {"object": "list", "data": [_MODEL]},
    "retrieveModel": _MODEL,
}
_FAILED = {"code": "upstream_error", "message": "No provider could answer."}
# Bodies of another kind than JSON: of a streamed answer a chunk or event and its end, of
# lines of JSON one line.
OTHERS: Mapping[tuple[str, str], Any] = {
    ("createChatCompletion", EVENTS): 'data: {"id": "chatcmpl-7Q2w", "object": '
    '"chat.completion.chunk", "created": 1735689600, "model": "gpt-4o-mini", "choices": '
    '[{"index": 0, "delta": {"content": "Blue."}, "finish_reason": null}]}\n\n'
    "data: [DONE]\n\n",
    ("createResponse", EVENTS): "event: response.output_text.delta\n"
    'data: {"type": "response.output_text.delta", "sequence_number": 4, "item_id": '
    '"msg_1", "output_index": 0, "content_index": 0, "delta": "Blue.", "logprobs": []}\n\n',
    ("watchJob", EVENTS): "event: job\n"
    'data: {"id": "0198c0de-7a31-7c1e-9f57-3f2b8a6d4e10", "object": "job", "type": '
    '"completion", "state": "succeeded", "progress": 100}\n\n',
    ("getJobBatchResults", LINES): {
        "id": "0198c0de-7a31-7c1e-9f57-3f2b8a6d4e10",
        "custom_id": "line-1",
        "response": None,
        "error": _FAILED,
    },
    ("uploadFile", "multipart/form-data"): {
        "file": '{"custom_id": "line-1", "method": "POST", "url": "/v1/chat/completions", '
        '"body": {"model": "gpt-4o-mini", "messages": []}}\n',
        "purpose": "batch",
    },
    ("downloadFile", "application/octet-stream"): '{"custom_id": "line-1", "response": '
    '{"status_code": 200, "request_id": "0198c0de", "body": {}}, "error": null}\n',
}
