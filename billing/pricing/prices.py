"""Default prices, from the genai-prices package; an operator's own rows always win."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone
from genai_prices import Usage, calc_price

from billing.models import Price
from valuecanvas.core.db import locks

Pair = tuple[str, str, str]  # (provider key, the package's provider id, upstream model)


@dataclass(frozen=True, slots=True)
class PackagePrice:
    """USD per million tokens. No price of the cache: that costs as other input."""

    input_usd: Decimal
    cached_input_usd: Decimal | None
    output_usd: Decimal
    cache_write_usd: Decimal | None = None


def package_price(provider_id: str, model: str) -> PackagePrice | None:
    """The package's current price of `model`; None if it has none.

    Where a price depends on the size of the request, this is the base price, of small
    requests: enter the larger one as a price of your own if you send very long prompts.
    """
    found = _lookup(provider_id, model)
    if found is None:
        return None
    paid = {name: _base(value) for name, value in vars(found.model_price).items()}
    into, out = paid.get("input_mtok"), paid.get("output_mtok")
    # Priced by the hour or the picture: not something that tokens can be billed by.
    if into is None:
        return None
    return PackagePrice(
        into,
        paid.get("cache_read_mtok"),
        out or Decimal(0),
        paid.get("cache_write_mtok"),
    )


def package_context(provider_id: str, model: str) -> int | None:
    """The package's context window of `model` in tokens; None: not known."""
    found = _lookup(provider_id, model)
    return found.model.context_window if found else None


def _lookup(provider_id: str, model: str) -> Any:
    """The package's entry of `model`; None: it has none."""
    try:
        return calc_price(Usage(), model, provider_id=provider_id)
    except LookupError:
        return None


def seed_prices(pairs: Iterable[Pair]) -> int:
    """Add the package's prices of `pairs` without a price. Returns the number added."""
    return _add(pairs, lambda held, _: held is None)


def refresh_prices(pairs: Iterable[Pair]) -> int:
    """As `seed_prices`, plus a new dated row where a price of the package changed.

    Rows are never altered, so that old bills can be explained. A pair whose current
    price was set by an operator is left alone.
    """
    return _add(pairs, _differs)


def _add(
    pairs: Iterable[Pair], wanted: Callable[[Price | None, PackagePrice], bool]
) -> int:
    added = 0
    with transaction.atomic():
        locks.hold("billing.prices")
        now = timezone.now()
        for provider, provider_id, model in dict.fromkeys(pairs):
            found = package_price(provider_id, model)
            if found and wanted(_current_price(provider, model, now), found):
                _insert(provider, model, found, now)
                added += 1
    return added


def _current_price(provider: str, model: str, now: datetime) -> Price | None:
    """The current price, else the first future one, else None."""
    rows = Price.objects.filter(provider=provider, upstream_model=model)
    in_force = rows.filter(effective_from__lte=now).order_by("-effective_from").first()
    return in_force or rows.order_by("effective_from").first()


def _differs(held: Price | None, found: PackagePrice) -> bool:
    if held is None:
        return True
    names = [field.name for field in fields(PackagePrice)]
    differs = any(getattr(held, name) != getattr(found, name) for name in names)
    return held.source == Price.Source.PACKAGE and differs


def _insert(provider: str, model: str, found: PackagePrice, now: datetime) -> None:
    price = Price(
        provider=provider,
        upstream_model=model,
        **asdict(found),
        effective_from=now,
        source=Price.Source.PACKAGE,
    )
    price.full_clean()
    price.save(force_insert=True)


def _base(value: Any) -> Decimal | None:
    base = getattr(value, "base", value)
    return base if isinstance(base, Decimal) else None
