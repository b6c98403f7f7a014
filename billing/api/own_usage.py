"""`GET /api/usage/me`: a key holder's own use, quota, budgets and tier."""

from typing import Any

from rest_framework import serializers as s

from billing.models import Scope
from billing.usage.own_usage import OwnUsage, read_own_usage
from valuecanvas.core import money
from valuecanvas.core.api.access import Need
from valuecanvas.core.api.endpoint import Endpoint, operation

READ = Need(Scope.LLM.value)


class MicrosField(s.CharField):
    """Micro-dollars as US dollars, in text: a float would round."""

    def to_representation(self, value: Any) -> str:
        return money.text(value)


class ShownUse(s.Serializer):
    requests = s.IntegerField()
    spent_usd = MicrosField(source="spent")


class ShownDayOfUse(ShownUse):
    day = s.DateField()


class ShownQuota(s.Serializer):
    limit = s.IntegerField(source="tier.daily_requests")
    used = s.IntegerField(source="today.requests")
    left = s.IntegerField(source="left_today")
    resets_at = s.DateTimeField()


class ShownOwnTier(s.Serializer):
    key = s.CharField()
    name = s.CharField()
    daily_requests = s.IntegerField()
    max_output_tokens = s.IntegerField()
    requests_per_minute = s.IntegerField(allow_null=True)
    tokens_per_minute = s.IntegerField(allow_null=True)
    concurrent_requests = s.IntegerField(allow_null=True)


class ShownOwnBudget(s.Serializer):
    """An OwnBudget."""

    scope = s.CharField(help_text="customer, team or key.")
    period = s.CharField()
    hard = s.BooleanField(help_text="Whether it refuses requests.")
    limit_usd = s.CharField()
    spent_usd = s.CharField()
    held_usd = s.CharField(help_text="For requests under way.")
    start = s.DateField(allow_null=True)
    end = s.DateField(allow_null=True)

    def to_representation(self, own: Any) -> dict[str, Any]:
        _, budget, progress = own
        return {
            "scope": budget.scope,
            "period": budget.period,
            "hard": budget.hard,
            "limit_usd": money.text(progress.limit),
            "spent_usd": money.text(progress.usage.spent),
            "held_usd": money.text(progress.usage.reserved),
            "start": progress.start,
            "end": progress.end,
        }


class ShownOwnUsage(s.Serializer):
    user_id = s.CharField(source="customer.user_id")
    team = s.CharField(source="customer.team_id", allow_null=True)
    today = ShownUse()
    month = ShownUse(help_text="The calendar month so far, by UTC.")
    days = ShownDayOfUse(many=True, help_text="The last 30 days, the oldest first.")
    quota = ShownQuota(source="*")
    budgets = ShownOwnBudget(many=True)
    tier = ShownOwnTier()
    next_tier = ShownOwnTier(allow_null=True)
    upgrade_url = s.CharField()


class OwnUsageDetail(Endpoint):
    """For the holder of an API key."""

    @operation(
        "retrieveOwnUsage",
        "The key's own use, quota, budgets and tier",
        READ,
        tags=["Usage"],
        answer=ShownOwnUsage,
        refusals=(),
    )
    def get(self) -> OwnUsage:
        who: Any = self.request.auth
        return read_own_usage(who)
