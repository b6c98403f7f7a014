"""What the TypeScript scenario does too, with the generated Python client.

Environment: BASE_URL, API_KEY, MODEL, PROMPT, FLAG. Prints what it saw.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import valuecanvas_client as vc
from valuecanvas_client.exceptions import ApiException

MODEL = os.environ["MODEL"]


def client(key: str) -> vc.ApiClient:
    return vc.ApiClient(vc.Configuration(os.environ["BASE_URL"], access_token=key))


def ask(text: str, **more: Any) -> vc.ChatRequest:
    message = vc.ChatMessage(role="user", content=text)
    return vc.ChatRequest(model=MODEL, messages=[message], max_tokens=20, **more)


def events(api: vc.OpenAICompatibleApi, request: vc.ChatRequest) -> Iterator[str]:
    """The data of each event of a streamed answer."""
    for line in api.create_chat_completion_without_preload_content(request):
        if line.startswith(b"data: "):
            yield line.removeprefix(b"data: ").strip().decode()


def stream(api: vc.OpenAICompatibleApi) -> dict[str, Any]:
    *chunks, last = events(api, ask("Name two colours.", stream=True))
    choices = [one for chunk in chunks for one in json.loads(chunk)["choices"]]
    text = "".join(one["delta"].get("content") or "" for one in choices)
    return {"content": text, "several": len(chunks) > 2, "last": last}


def job(api: vc.JobsApi) -> dict[str, Any]:
    body = ask("Name a fish.").to_dict()
    new = vc.NewJob(type="completion", body=body)
    made = api.submit_job(new, idempotency_key=f"python-{time.time_ns()}")
    while (now := api.get_job(made.id)).state in ("queued", "running"):
        time.sleep(0.1)
    content = api.get_job_result(made.id)["choices"][0]["message"]["content"]
    return {"first": made.state, "last": now.state, "content": content}


def refusal(key: str, request: vc.ChatRequest) -> dict[str, Any]:
    try:
        vc.OpenAICompatibleApi(client(key)).create_chat_completion(request)
    except ApiException as error:
        told = error.data.error
        return {"status": error.status, "code": told.code, "param": told.param}
    return {}


def main() -> dict[str, Any]:
    key = os.environ["API_KEY"]
    api = client(key)
    chat = vc.OpenAICompatibleApi(api)
    whole = chat.create_chat_completion(ask("Name a colour."))
    short = vc.GatewayApi(api).complete_prompt(
        vc.CompleteRequest(model=MODEL, prompt="Name a bird.", max_tokens=20)
    )
    prompts = vc.PromptsApi(api)
    flag = vc.FlagsApi(api).evaluate_flag(
        os.environ["FLAG"], vc.OfrepRequest(context={"targetingKey": "ann"})
    )
    return {
        "chat": {
            "content": whole.choices[0].message.content,
            "finish": whole.choices[0].finish_reason,
            "tokens": whole.usage.total_tokens,
        },
        "stream": stream(chat),
        "complete": {"content": short.content, "provider": short.provider},
        "job": job(vc.JobsApi(api)),
        "prompts": [one.key for one in prompts.list_prompts(limit=200).data],
        "prompt": prompts.fetch_prompt(os.environ["PROMPT"]).template,
        "flag": {"value": flag.value, "reason": flag.reason},
        "usage": vc.UsageApi(api).retrieve_own_usage().user_id,
        "unknown key": refusal("vc-wrong", ask("Hello.")),
        "no messages": refusal(key, vc.ChatRequest(model=MODEL)),
    }


sys.stdout.write(json.dumps(main()))
