"""Creates the benchmark's callers, routes, prices and budgets, in Django's shell."""

from __future__ import annotations

import json
from decimal import Decimal

from django.db import transaction

from bench.plan import FLAG_RULES, FLAGS, PROMPT, PROMPT_TEXT, VARIANT
from billing.alerts.channels import save_channel
from billing.auth import keys
from billing.budget_periods import Period
from billing.budget_scopes import BudgetScope
from billing.models import (
    AlertChannel,
    AlertKind,
    AlertRule,
    ApiKey,
    Budget,
    Customer,
    Price,
    Team,
    Tier,
)
from flags.models import Flag, Rule
from llm.models import Model, Provider, Route
from prompts import services
from valuecanvas.core.webhooks.models import EndpointKind
from valuecanvas.core.webhooks.signature import new_secret
from valuecanvas.site.schedules import ensure_schedules

# The models of the benchmark, and further ones of the soak test.
MODELS = ("ok", "ok-31", "flaky@50", "drip@20ms:200")
TEAMS = 4
LIMIT_USD = Decimal(1_000_000)


def run(upstream: str, customers: int) -> None:
    """Create everything, and print the customers' keys as one line of JSON."""
    with transaction.atomic():
        _routes(upstream)
        texts = _callers(customers)
        _prompt()
        _flags()
    print(json.dumps(texts))


def _routes(upstream: str) -> None:
    provider = Provider(
        key="bench", name="Bench", kind="compatible", base_url=f"{upstream}/v1"
    )
    provider.set_key("bench")
    provider.save()
    for name in MODELS:
        model = Model.objects.create(name=name)
        Route.objects.create(model=model, provider=provider, upstream_model=name)
        Price.objects.create(
            provider=provider.key,
            upstream_model=name,
            input_usd=Decimal("0.5"),
            output_usd=Decimal("1.5"),
        )


def _callers(customers: int) -> list[str]:
    tier = Tier.objects.create(key="bench", name="Bench", daily_requests=1_000_000_000)
    teams = [
        Team.objects.create(key=f"bench-{number}", name=f"Bench {number}")
        for number in range(TEAMS)
    ]
    period = Period
    _budget(BudgetScope.GLOBAL, period.MONTH)
    for team in teams:
        _budget(BudgetScope.TEAM, period.MONTH, team=team)
    texts = []
    for number in range(customers):
        customer = Customer.objects.create(
            user_id=f"bench-{number}", team=teams[number % TEAMS], tier=tier
        )
        scopes = ["llm", "prompts:read", "flags:evaluate"]
        key, text = keys.issue(customer=customer, name="bench", scopes=scopes)
        _budget(BudgetScope.CUSTOMER, period.DAY, customer=customer)
        _budget(BudgetScope.KEY, period.DAY, api_key=key)
        texts.append(text)
    return texts


def add_refused(customers: int) -> None:
    """Add customers without any quota, and print their keys as one line of JSON."""
    tier = Tier.objects.create(key="none", name="None", daily_requests=0)
    print(json.dumps([_key(f"none-{one}", tier) for one in range(customers)]))


def add_customers(count: int) -> None:
    """Add customers that may call, and print their keys as one line of JSON."""
    tier = Tier.objects.get(key="bench")
    with transaction.atomic():
        print(json.dumps([_key(f"caller-{one}", tier) for one in range(count)]))


def add_alerts(url: str) -> None:
    """Have alerts on budgets sent to `url`, by the schedules of an installation."""
    ensure_schedules()
    channel = AlertChannel(name="Bench")
    save_channel(channel, EndpointKind.STANDARD, address=url, secret=new_secret())
    rule = AlertRule.objects.create(name="Bench", kind=AlertKind.BUDGET)
    rule.channels.add(channel)
    print()


def add_spender(name: str) -> None:
    """Add a customer whose first request reaches its budget; print its key as JSON."""
    text = _key(name, Tier.objects.get(key="bench"))
    Budget.objects.create(
        scope=BudgetScope.CUSTOMER.kind,
        period=Period.DAY,
        limit_usd=Decimal("0.000001"),
        hard=False,
        customer=Customer.objects.get(user_id=name),
    )
    print(json.dumps(text))


def _key(user_id: str, tier: Tier) -> str:
    customer = Customer.objects.create(user_id=user_id, tier=tier)
    return keys.issue(customer=customer, name="bench", scopes=["llm"])[1]


def _prompt() -> None:
    actor = services.GATEWAY
    prompt = services.create_prompt(key=PROMPT, actor=actor)
    services.add_version(
        prompt, template=PROMPT_TEXT, variables=["team", "question"], actor=actor
    )
    services.move_label(prompt, "production", 1, expected=None, actor=actor)


def _flags() -> None:
    for number in range(FLAGS):
        flag = Flag.objects.create(name=f"bench-{number}")
        Rule.objects.bulk_create(
            Rule(
                flag=flag,
                order=order,
                variant=VARIANT,
                conditions=[
                    {"attribute": "tier", "operator": "in", "value": ["pro", "team"]},
                    {
                        "attribute": "country",
                        "operator": "equals",
                        "value": "SE" if order == FLAG_RULES - 1 else f"X{order}",
                    },
                ],
            )
            for order in range(FLAG_RULES)
        )


def _budget(
    scope: BudgetScope,
    period: Period,
    *,
    team: Team | None = None,
    customer: Customer | None = None,
    api_key: ApiKey | None = None,
) -> None:
    Budget.objects.create(
        scope=scope.kind,
        period=period,
        limit_usd=LIMIT_USD,
        team=team,
        customer=customer,
        api_key=api_key,
    )
