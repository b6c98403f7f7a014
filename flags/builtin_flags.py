"""The gateway's own flags, and sample flags."""

from typing import Any

from flags import services
from flags.actor import FIRST_RUN
from flags.models import Flag, Purpose

# A missing one counts as on: they only switch things off.
CACHE = "gateway.cache"
COALESCING = "gateway.coalescing"
FALLBACK = "gateway.fallback"
_BUILT_IN = {
    CACHE: "Off: no answer is taken from the response cache or stored in it.",
    COALESCING: "Off: identical requests under way each go upstream.",
    FALLBACK: "Off: a request whose first provider fails is not tried elsewhere.",
}
_SAMPLES: tuple[dict[str, Any], ...] = (
    {
        "name": "new_canvas_ui",
        "note": "A sample: the new canvas page, for a quarter of the users.",
        "percent": 25,
        "superusers": False,
        "tags": ["sample"],
    },
    {
        "name": "canvas_wording",
        "kind": "string",
        "note": "A sample: how a canvas addresses its reader.",
        "purpose": Purpose.EXPERIMENT.value,
        "superusers": False,
        "tags": ["sample"],
        "default_variant": "plain",
        "variants": [
            {"name": "plain", "value": "Write plainly.", "weight": 5000},
            {"name": "warm", "value": "Write warmly.", "weight": 3000},
            {"name": "formal", "value": "Write formally.", "weight": 2000},
        ],
    },
)


def ensure_built_in() -> list[str]:
    """Create the gateway's missing flags; the names of the new ones."""
    protect_built_in()
    known = set(Flag.objects.filter(name__in=_BUILT_IN).values_list("name", flat=True))
    missing = [name for name in _BUILT_IN if name not in known]
    for name in missing:
        services.create_flag(
            {
                "name": name,
                "note": _BUILT_IN[name],
                "purpose": Purpose.OPERATIONAL.value,
                "percent": 100,
                "in_gateway": True,
                "superusers": False,
            },
            actor=FIRST_RUN,
            protected=True,
        )
    return missing


def protect_built_in() -> None:
    """Protect those of the gateway's flags that came from a file, which doesn't say it."""
    Flag.objects.filter(name__in=_BUILT_IN, protected=False).update(protected=True)


def add_samples() -> None:
    """Create the missing sample flags."""
    for sample in _SAMPLES:
        if not Flag.objects.filter(name=sample["name"]).exists():
            services.create_flag(sample, actor=FIRST_RUN)
