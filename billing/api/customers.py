"""`/api/customers/{user_id}`: read and change a customer's tier, state and limits."""

from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import transaction
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers as s

from billing.accounting import spend
from billing.models import Customer, Scope, Tier
from valuecanvas.core.api.access import KeyUser, Need
from valuecanvas.core.api.bodies import OptionalNumber, StrictSerializer
from valuecanvas.core.api.endpoint import Endpoint, operation
from valuecanvas.core.errors import Conflict, NotFound

READ = Need(Scope.ADMIN.value, "billing.view_customer")
WRITE = Need(Scope.ADMIN.value, "billing.change_customer")
# The account of the audit log for changes by keys; nobody can log in with it.
ACCOUNT = "api-keys"
MOST_NAMED = 50
TEAM = OpenApiParameter(
    "team",
    str,
    description="The customer's team, empty for none: needed where several teams have "
    "a customer of this user id.",
)


class GivenCustomer(StrictSerializer):
    """The fields to change; those left out stay."""

    tier = s.CharField(required=False, help_text="The key of a tier, e.g. 'pro'.")
    suspended = s.BooleanField(
        required=False, help_text="`true`: refuse the customer's requests at once."
    )
    requests_per_minute = OptionalNumber("Null: the tier's limit.")
    tokens_per_minute = OptionalNumber("Null: the tier's limit.")
    concurrent_requests = OptionalNumber("Null: the tier's limit.")

    def validate_tier(self, key: str) -> Tier:
        tier = Tier.objects.filter(pk=key).first()
        if tier is None:
            known = ", ".join(Tier.objects.values_list("key", flat=True)[:MOST_NAMED])
            raise s.ValidationError(f"There is no tier '{key[:60]}'. Known: {known}.")
        return tier


class ShownCustomer(s.ModelSerializer):
    daily_requests = s.IntegerField(source="tier.daily_requests")
    used_today = s.SerializerMethodField(help_text="Requests since midnight UTC.")

    class Meta:
        model = Customer
        fields = (
            "id", "user_id", "team", "tier", "suspended", "daily_requests", "used_today",
            "requests_per_minute", "tokens_per_minute", "concurrent_requests", "created_at",
        )  # fmt: skip

    def get_used_today(self, customer: Customer) -> int:
        return spend.load_used_today([customer.pk])[customer.pk]


class CustomerDetail(Endpoint):
    """For keys with the scope `admin`, and for staff."""

    @operation(
        "retrieveCustomer",
        "A customer by user id",
        READ,
        tags=["Customers"],
        answer=ShownCustomer,
        parameters=[TEAM],
        refusals=(404, 409),
    )
    def get(self) -> Customer:
        return self._find(lock=False)

    @operation(
        "editCustomer",
        "Change a customer's tier, state or limits",
        WRITE,
        tags=["Customers"],
        body=GivenCustomer,
        partial=True,
        answer=ShownCustomer,
        parameters=[TEAM],
        refusals=(404, 409),
    )
    @transaction.atomic
    def patch(self, asked: dict[str, Any]) -> Customer:
        customer = self._find(lock=True)
        changed = [
            name for name, value in asked.items() if getattr(customer, name) != value
        ]
        for name in changed:
            setattr(customer, name, asked[name])
        customer.full_clean()
        if changed:
            customer.save(update_fields=changed)
            self._record(customer, changed)
        return customer

    def _find(self, *, lock: bool) -> Customer:
        user_id: str = self.kwargs["user_id"]
        team = self.request.query_params.get("team")
        rows = Customer.objects.filter(user_id=user_id).select_related("tier")
        if team is not None:
            rows = rows.filter(team=team or None)
        if lock:
            rows = rows.select_for_update(of=("self",))
        found = list(rows.order_by("team")[: MOST_NAMED + 1])
        if not found:
            raise NotFound(
                f"There is no customer '{user_id[:60]}'"
                + (f" in the team '{team[:60]}'." if team else "."),
                param="user_id",
                code="customer_not_found",
            )
        if len(found) > 1:
            choices = ", ".join(
                f"?team={one.team_id or ''}" for one in found[:MOST_NAMED]
            )
            raise Conflict(
                f"There are several customers '{user_id[:60]}'. Choose one by its team: "
                f"{choices}.",
                param="team",
                code="ambiguous_customer",
            )
        return found[0]

    def _record(self, customer: Customer, changed: list[str]) -> None:
        """Write the audit log, as forms of the admin do."""
        user: Any = self.request.user
        message = f"Changed {', '.join(changed)} over the API"
        if isinstance(user, KeyUser):
            message += f", by {user}"
            unusable = {"is_active": False, "password": make_password(None)}
            user, _ = User.objects.get_or_create(username=ACCOUNT, defaults=unusable)
        LogEntry.objects.log_actions(
            user.pk, [customer], CHANGE, change_message=f"{message}."
        )
