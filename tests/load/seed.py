"""Creates what the load test asks for beside the bench's customers, in Django's shell."""

from __future__ import annotations

from decimal import Decimal

from bench import seed
from billing.models import Price
from llm.models import Model, Provider, Route
from prompts import services
from valuecanvas.site.schedules import ensure_schedules

# The demo provider answers as slowly as a real one: median and 95th percentile.
UPSTREAM_MODEL = "like@300ms:1.5s"
MODELS = {"demo": Model.Kind.CHAT, "demo-embedding": Model.Kind.EMBEDDING}
# Together.ai's for Llama 3 70B, for a million tokens.
PRICE_USD = Decimal("0.88")
PROMPT_KEY = "canvas.generate"
TEMPLATE = "Generate a canvas for {{businessDescription}} in the industry {{industry}}."
VARIABLES = ["businessDescription", "industry"]


def run() -> None:
    """Create models, prices, a prompt and a customer without quota; print its key as JSON."""
    ensure_schedules()
    provider = Provider.objects.get(key="bench")
    for name, kind in MODELS.items():
        model = Model.objects.create(name=name, kind=kind)
        Route.objects.create(
            model=model, provider=provider, upstream_model=UPSTREAM_MODEL
        )
    Price.objects.create(
        provider=provider.key,
        upstream_model=UPSTREAM_MODEL,
        input_usd=PRICE_USD,
        output_usd=PRICE_USD,
    )
    _prompt()
    seed.add_refused(1)


def _prompt() -> None:
    actor = services.GATEWAY
    prompt = services.create_prompt(key=PROMPT_KEY, actor=actor)
    services.add_version(prompt, template=TEMPLATE, variables=VARIABLES, actor=actor)
    services.move_label(prompt, "production", 1, expected=None, actor=actor)
