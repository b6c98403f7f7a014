"""Checks whether a provider answers, and which models it has."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import openai

from llm.providers.client import sdk
from valuecanvas.core import crypto
from valuecanvas.core.access.url_guard import OffLimits

if TYPE_CHECKING:
    from llm.models import Provider

# Longest list offered on one page.
MOST_MODELS = 1000
# A larger context, in tokens, is a mistake.
MOST_CONTEXT = 100_000_000


class Unreachable(Exception):
    """The provider gave no list of models. The message says what to do; no secrets."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a test connection."""

    ok: bool
    message: str
    latency_ms: int


def check(provider: "Provider") -> CheckResult:
    """Ask for the list of models, as the cheapest call that needs the key."""
    started = time.monotonic()
    try:
        found = discover(provider)
    except Unreachable as error:
        return CheckResult(False, str(error), _since(started))
    noun = "model" if len(found) == 1 else "models"
    return CheckResult(
        True, f"It answers, and lists {len(found)} {noun}.", _since(started)
    )


def discover(provider: "Provider") -> dict[str, int | None]:
    """The provider's models by name, sorted, and the context of each if it is listed.

    Raises Unreachable.
    """
    try:
        with sdk(provider) as client:
            listed = client.models.list().data or []
            found = {
                str(one.id): _context(one.model_dump()) for one in listed if one.id
            }
    except crypto.UnreadableSecret as error:
        raise Unreachable("Its stored key can't be opened: enter it again.") from error
    except openai.OpenAIError as error:
        # Never the error's own text: providers echo parts of the key in it.
        raise Unreachable(_explain(error)) from error
    except httpx2.InvalidURL as error:
        raise Unreachable("Its URL is not valid: correct its host.") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise Unreachable(NOT_A_LIST) from error
    return {name: found[name] for name in sorted(found)[:MOST_MODELS]}


def contexts(provider: "Provider") -> dict[str, int | None]:
    """As `discover`; empty if the provider does not answer."""
    try:
        return discover(provider)
    except Unreachable:
        return {}


# Names of the context: of OpenRouter and Together.ai, Groq, vLLM, Mistral.
_CONTEXTS = ("context_length", "context_window", "max_model_len", "max_context_length")


def _context(listed: dict[str, Any]) -> int | None:
    """The context of a listed model; llama.cpp has it in `meta`."""
    sent = [listed.get(name) for name in _CONTEXTS]
    meta = listed.get("meta")
    sent.append(meta.get("n_ctx") if isinstance(meta, dict) else None)
    counts = (one for one in sent if isinstance(one, int) and not isinstance(one, bool))
    return next((one for one in counts if 0 < one <= MOST_CONTEXT), None)


NOT_A_LIST = "It answers, but not with a list of models: check the base URL's path."
NO_CONNECTION = "No connection: check the base URL, and that the server is running."
_BY_STATUS = {
    401: "It refuses the key: enter a valid one.",
    402: "Its account is out of money.",
    403: "The key may not list models.",
    404: "Nothing is there: the base URL should end with /v1.",
    429: "It is throttling us: try again in a minute.",
}


def _explain(error: openai.OpenAIError) -> str:
    cause = error.__cause__ and error.__cause__.__cause__
    if isinstance(cause, OffLimits):
        return str(cause)
    if isinstance(error, openai.APITimeoutError):
        return "It did not answer in time: check the base URL and the network."
    if isinstance(error, openai.APIStatusError):
        return _of_status(error.status_code)
    lost = isinstance(error, openai.APIConnectionError)
    return NO_CONNECTION if lost else NOT_A_LIST


def _of_status(status: int) -> str:
    if 300 <= status < 400:
        return "It redirects elsewhere, which is not followed: correct the base URL."
    return _BY_STATUS.get(status, f"It answered with HTTP status {status}.")


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
