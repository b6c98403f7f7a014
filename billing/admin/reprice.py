"""The action that re-prices requests billed without a price."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from billing.models import Price
from billing.pricing import reprice
from valuecanvas.core.admin.bases import Admin
from valuecanvas.core.templatetags import figures

# The most that one click corrects; the command `reprice --apply` has no limit.
MOST = 5_000


class RepriceAdmin(Admin):
    """Adds the action to the admin of prices: a preview first, then the corrections."""

    actions = ("reprice_requests",)

    @admin.action(description="Re-price unpriced requests", permissions=["change"])
    def reprice_requests(
        self, request: HttpRequest, queryset: QuerySet
    ) -> HttpResponse | None:
        chosen = list(Price.objects.filter(pk__in=queryset.values("pk")))
        pairs = {(price.provider, price.upstream_model) for price in chosen}
        if "confirmed" in request.POST:
            self._reprice(request, chosen, pairs)
            return None
        result = reprice.preview(pairs)
        if not result.requests:
            messages.warning(request, _nothing(result))
            return None
        return self.ask_for(
            request,
            "reprice_requests",
            chosen,
            title="Re-price unpriced requests",
            text="These requests were billed at a stand-in price. The ledger gets a "
            "row with the difference for each; no row is changed. What would exceed a "
            "budget is not charged.",
            rows=[*map(_line, result.lines.values()), *_waiting(result)],
            verb="Book the corrections",
        )

    def _reprice(
        self, request: HttpRequest, chosen: list[Price], pairs: set[reprice.Pair]
    ) -> None:
        result = reprice.apply(pairs, most=MOST)
        for price in chosen:
            line = result.lines.get((price.provider, price.upstream_model))
            if line:
                self.record(request, [price], f"Re-priced: {_line(line)}.")
        text = f"Corrected {_count(result.requests)}, {_difference(result.delta)}."
        messages.success(request, text)
        if result.more:
            messages.warning(request, "There are more: repeat the action for the rest.")


def _line(line: reprice.RepriceLine) -> str:
    uncharged = figures.micros(line.uncharged)
    return (
        f"{line.provider}: {line.upstream_model}: {_count(line.requests)} billed "
        f"{figures.micros(line.billed)}, {_difference(line.delta)}"
        + (f" ({uncharged} would exceed a budget)" if line.uncharged else "")
    )


def _difference(delta: int) -> str:
    if delta < 0:
        return f"{figures.micros(-delta)} refunded"
    return f"{figures.micros(delta)} charged"


def _waiting(result: reprice.Result) -> list[str]:
    return [
        f"{provider}: {model}: {_count(count)} from before the first price: set an "
        "earlier “effective from” to re-price them too"
        for (provider, model), count in result.waiting.items()
    ]


def _nothing(result: reprice.Result) -> str:
    if result.waiting:
        return "Nothing was changed. " + ". ".join(_waiting(result)) + "."
    return "No request of these models was billed without a price."


def _count(number: int) -> str:
    return f"{figures.commas(number)} request{'' if number == 1 else 's'}"
