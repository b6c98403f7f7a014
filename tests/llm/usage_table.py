"""Usage as providers report it: their documented forms, and what each comes to."""

from typing import Any, NamedTuple

Json = dict[str, Any]


class Form(NamedTuple):
    """What is told, and what is to be billed for it."""

    told: Json
    prompt: int = 1000
    completion: int = 500
    cached: int = 0
    written: int = 0
    marks: tuple[str, ...] = ()


def chat(
    prompt: Any = 1000, completion: Any = 500, total: Any = 1500, **more: Any
) -> Json:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        **more,
    }


def details(cached: int = 0, reasoning: int = 0, **more: Any) -> Json:
    return {
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0, **more},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


MISMATCH = ("mismatch",)
FORMS = {
    "openai": Form(chat(**details(600, 200)), cached=600),
    "openai, writes": Form(
        chat(**details(600, cache_write_tokens=300)), cached=600, written=300
    ),
    "azure": Form(chat(**details(), prompt_filter_results=[])),
    "deepseek": Form(
        chat(prompt_cache_hit_tokens=640, prompt_cache_miss_tokens=360), cached=640
    ),
    "deepseek, reasoner": Form(
        chat(
            prompt_cache_hit_tokens=0,
            prompt_cache_miss_tokens=1000,
            completion_tokens_details={"reasoning_tokens": 400},
        )
    ),
    "gemini": Form(chat(total=2400), completion=1400, marks=MISMATCH),
    "xai": Form(chat(total=2400, **details(700, 900)), completion=1400, cached=700),
    "issue": Form(
        chat(100, 50, 1050, reasoning_tokens=900), prompt=100, completion=950
    ),
    "groq": Form(chat(queue_time=0.1, prompt_time=0.2, total_time=0.5)),
    "mistral": Form(chat(prompt_audio_seconds=None, num_cached_tokens=64), cached=64),
    "together": Form(chat(cached_tokens=128), cached=128),
    "moonshot": Form(chat(cached_tokens=768), cached=768),
    "fireworks": Form(chat(prompt_tokens_details={"cached_tokens": 512}), cached=512),
    "cerebras": Form(chat(prompt_tokens_details={"cached_tokens": 0})),
    "openrouter": Form(
        chat(
            **details(500, 100, cache_write_tokens=400, video_tokens=0),
            cost=0.0042,
            cost_details={"upstream_inference_cost": None},
            is_byok=False,
        ),
        cached=500,
        written=400,
    ),
    "qwen": Form(
        chat(
            prompt_tokens_details={
                "cached_tokens": 0,
                "cache_creation_input_tokens": 900,
                "cache_type": "ephemeral",
            }
        ),
        written=900,
    ),
    "anthropic": Form(
        {
            "input_tokens": 100,
            "output_tokens": 500,
            "cache_read_input_tokens": 600,
            "cache_creation_input_tokens": 300,
        },
        cached=600,
        written=300,
    ),
    "anthropic, total of all": Form(
        chat(100, cache_read_input_tokens=900, cache_creation_input_tokens=0),
        cached=900,
    ),
    "anthropic, by a proxy": Form(
        chat(cache_read_input_tokens=600, cache_creation_input_tokens=300),
        cached=600,
        written=300,
    ),
    "perplexity": Form(chat(search_context_size="low", num_search_queries=1)),
    "perplexity, research": Form(
        chat(100, 500, 600, citation_tokens=900, reasoning_tokens=800),
        completion=1300,
        marks=MISMATCH,
    ),
    "responses": Form(
        {
            "input_tokens": 1000,
            "input_tokens_details": {"cached_tokens": 300, "cache_write_tokens": 200},
            "output_tokens": 500,
            "output_tokens_details": {"reasoning_tokens": 450},
            "total_tokens": 1500,
        },
        cached=300,
        written=200,
    ),
    "no total": Form(chat(total=None)),
    "only the total tells the completion": Form(
        {"prompt_tokens": 1000, "total_tokens": 1500}
    ),
    "only the total tells the prompt": Form(chat(None)),
    "whole floats": Form(chat(1000.0, 500.0, 1500.0)),
    "total too small": Form(chat(total=1200), marks=MISMATCH),
    "total too large": Form(chat(total=1800), completion=800, marks=MISMATCH),
    "total of nonsense": Form(chat(total=10**12)),
    "reasoning larger than all": Form(
        chat(**details(0, 800)), completion=1300, marks=MISMATCH
    ),
    "reasoning outside, total lower still": Form(
        chat(100, 50, 1000, reasoning_tokens=900),
        prompt=100,
        completion=950,
        marks=MISMATCH,
    ),
    "hits and misses are more than the prompt": Form(
        chat(
            800, total=1300, prompt_cache_hit_tokens=600, prompt_cache_miss_tokens=400
        ),
        cached=600,
        marks=MISMATCH,
    ),
}
