"""The first run: creates the first rows, an admin account and an API key."""

import secrets
from dataclasses import asdict, dataclass, field
from decimal import Decimal

from django.contrib.auth.models import User
from django.db import transaction

from billing.auth import keys
from billing.models import ApiKey, Customer, Price, Scope, Tier
from billing.pricing import prices
from flags import builtin_flags as flags_seed
from llm.models import Model, Provider, Route, Seeded
from llm.setup import catalogue, env_sync
from prompts import samples
from valuecanvas.core.db import locks

ADMIN = "admin"
FIRST_USER = "first-user"
_DONE = "first_run"
# No 0 or o, 1 or l: people copy it from a console.
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class FirstRun:
    """The admin's name, and secrets that were just created."""

    admin_name: str
    admin_password: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)


def first_run() -> FirstRun:
    """Fill an empty database, and create an admin account and an API key, once.

    On later starts, follow the environment's URLs.
    """
    with transaction.atomic():
        created = fill()
        admin = _superuser()
        if not created:
            return FirstRun(admin.get_username() if admin else "")
        name, password = (admin.get_username(), None) if admin else _new_login()
        return FirstRun(name, password, None if ApiKey.objects.exists() else _new_key())


def fill() -> bool:
    """Create the first rows of an empty database, once; True if this call did.

    Later calls follow the environment's URLs and add the built-in flags of an upgrade.
    Existing rows are left as they are, and rows that an operator deleted stay deleted.
    Safe when several processes start at once: one does it, the others wait.
    """
    with transaction.atomic():
        locks.hold("llm.seed")
        # Also after an upgrade that brings new ones; nobody can delete them.
        flags_seed.ensure_built_in()
        if Seeded.objects.filter(pk=_DONE).exists():
            env_sync.follow()
            return False
        _rows()
        mark_first_run()
        return True


def mark_first_run() -> None:
    """Have the next start add no default rows: all configuration is there."""
    Seeded.objects.get_or_create(name=_DONE, defaults={"value": "1"})


def new_credentials() -> FirstRun:
    """A new password for the admin, and one more API key; both are shown this once.

    Earlier keys stay valid: revoke a lost one in the admin or by `revoke_key`.
    """
    with transaction.atomic():
        locks.hold("llm.seed")
        name, password = _new_login()
        return FirstRun(name, password, _new_key())


def _rows() -> None:
    _tiers()
    _providers()
    _models()
    _prices()
    samples.add()
    flags_seed.add_samples()
    env_sync.follow()


def _tiers() -> None:
    for row in catalogue.TIERS:
        values = asdict(row)
        values["upgrade_to_id"] = values.pop("upgrade_to")
        Tier.objects.get_or_create(key=values.pop("key"), defaults=values)


def _providers() -> None:
    for row in catalogue.PROVIDERS:
        # Off, at an unused address, until the settings have one.
        values = {
            "name": row.name,
            "kind": row.kind,
            "base_url": "http://127.0.0.1/v1",
            "api_key_env": row.api_key_env,
            "enabled": False,
        }
        made, created = Provider.objects.get_or_create(key=row.key, defaults=values)
        if created:
            env_sync.own(made, "base_url", "enabled")


def _models() -> None:
    for row in catalogue.MODELS:
        values = asdict(row)
        name, routes = values.pop("name"), values.pop("routes")
        values |= values.pop("timeouts")
        model, created = Model.objects.get_or_create(name=name, defaults=values)
        if created:
            _routes(model, routes)


def _routes(model: Model, routes: tuple[tuple[str, str], ...]) -> None:
    for priority, (provider, upstream) in enumerate(routes, start=1):
        route = Route.objects.create(
            model=model,
            provider_id=provider,
            upstream_model=upstream,
            priority=priority,
        )
        env_sync.own(route, "enabled")


def _prices() -> None:
    prices.seed_prices(catalogue.priced_pairs())
    for row in catalogue.OWN_PRICES:
        known = {"provider": row.provider, "upstream_model": row.upstream_model}
        if not Price.objects.filter(**known).exists():
            Price.objects.create(
                **known,
                input_usd=Decimal(row.input_usd),
                output_usd=Decimal(row.output_usd),
            )


def _superuser() -> User | None:
    active = User.objects.filter(is_superuser=True, is_active=True)
    return active.order_by("pk").first()


def _new_login() -> tuple[str, str]:
    """Set a new password for the first superuser, who is added if there is none."""
    password = "-".join(_word() for _ in range(4))
    admin = _superuser()
    if admin is None:
        taken = User.objects.filter(username=ADMIN).exists()
        name = f"{ADMIN}-{_word()}" if taken else ADMIN
        admin = User(username=name, is_staff=True, is_superuser=True)
    admin.set_password(password)
    admin.save()
    return admin.get_username(), password


def _new_key() -> str:
    _, text = keys.issue(
        customer=_first_customer(),
        name="First key",
        scopes=[
            Scope.LLM.value,
            Scope.ACT_AS.value,
            Scope.PROMPTS_READ.value,
            Scope.FLAGS_EVALUATE.value,
        ],
    )
    return text


def _first_customer() -> Customer:
    known = Customer.objects.filter(user_id=FIRST_USER, team=None).first()
    if known:
        return known
    if not Tier.objects.exists():
        _tiers()
    best = Tier.objects.order_by("-daily_requests")[0]
    return Customer.objects.create(user_id=FIRST_USER, tier=best)


def _word() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(4))
