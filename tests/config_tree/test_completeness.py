"""No model of configuration is forgotten, and no secret is exported."""

from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import BinaryField

from billing.models import ApiKey
from llm.models import Provider
from tests.config_tree.conftest import files_of, make_everything, run
from tests.fixtures_billing import make_api_key, make_provider
from valuecanvas.config_tree.field_values import KEYS
from valuecanvas.config_tree.sections import SECTIONS
from valuecanvas.config_tree.tree_export import describe_left_out
from valuecanvas.core.admin.bases import SECRETS, ReadOnlyAdmin
from valuecanvas.core.models import ConfigModel

# Written by the exchange of prompts and of flags, or as parts of other rows.
PARTS = {
    "prompts.prompt", "prompts.promptversion", "prompts.label", "prompts.arm",
    "flags.flag", "flags.rule", "flags.variant", "flags.prerequisite",
    "django_celery_beat.clockedschedule", "django_celery_beat.crontabschedule",
    "django_celery_beat.intervalschedule", "django_celery_beat.solarschedule",
}  # fmt: skip
# Not in the tree, and why. A new model belongs into `sections` or here.
LEFT_OUT = {
    "auth.user": "People with passwords: they are made anew.",
    "billing.alertchannel": "Each is an address with a secret: they are entered anew.",
    "billing.alertrule": "They name channels. An installation begins with one of a kind.",
    "billing.apikey": "Secrets, shown once: they are issued anew.",
    "core.loglevel": "A level of the moment, which ends by itself within a day.",
    "llm.breakeroverride": "An act of the moment, which ends by itself within 30 days.",
    "llm.chaosexperiment": "It injects failures: that is decided for each installation.",
    "llm.cacheepoch": "A count of purges; a lower one would bring purged answers back.",
    "prompts.rollout": "An act under way; the labels that it ends with are in the tree.",
}


def configuration() -> set[str]:
    """The models whose rows people change: by the base class, or in the admin."""
    edited = {
        model
        for model, page in admin.site._registry.items()
        if not isinstance(page, ReadOnlyAdmin)
    }
    based = {one for one in apps.get_models() if issubclass(one, ConfigModel)}
    return {model._meta.label_lower for model in edited | based}


def test_models__that_people_configure__are_in_the_tree_or_left_out_for_a_reason() -> (
    None
):
    exported = {section.model._meta.label_lower for section in SECTIONS.values()}
    assert exported.isdisjoint(LEFT_OUT)
    assert configuration() == exported | PARTS | LEFT_OUT.keys()


def test_rule__a_model_without_a_section__would_be_seen(monkeypatch) -> None:
    monkeypatch.delitem(SECTIONS, "tiers")
    exported = {section.model._meta.label_lower for section in SECTIONS.values()}
    assert configuration() - exported - PARTS - LEFT_OUT.keys() == {"billing.tier"}


def test_references__of_all_sections__have_keys() -> None:
    for section in SECTIONS.values():
        related = {one.related_model for one in section.fields.values()} - {None}
        assert {one._meta.label_lower for one in related} <= KEYS.keys()


def test_fields__of_all_sections__are_no_secrets() -> None:
    for section in SECTIONS.values():
        assert SECRETS.isdisjoint(section.fields), section.model
        kinds = {type(field) for field in section.fields.values()}
        assert BinaryField not in kinds


@pytest.mark.django_db
def test_files__of_a_database_with_secrets__have_none(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(settings.PROVIDER_KEYS, "OPENAI_API_KEY", "sk-canary-env")
    make_everything()
    provider = make_provider("sealed", api_key="sk-canary-stored")
    key, text = make_api_key()
    User.objects.create_superuser("root", password="canary-password")

    run("export_config", tmp_path)

    data = b"\n".join(files_of(tmp_path).values())
    sealed = bytes(Provider.objects.get(pk=provider.pk).api_key_sealed)
    passwords = User.objects.values_list("password", flat=True)
    secrets: list[str] = [
        "canary", text, key.prefix, key.digest, sealed.hex(), *passwords,
        settings.SECRET_KEY, settings.KEY_PEPPER, settings.FIELD_KEY, settings.REDIS_URL,
        settings.DATABASES["default"]["PASSWORD"] or "canary",
    ]  # fmt: skip
    assert b"OPENAI_API_KEY" in data
    assert sealed not in data
    assert [one for one in secrets if one.encode() in data] == []


@pytest.mark.django_db
def test_left_out__secrets_with_their_numbers__are_named(everything: None) -> None:
    assert ApiKey.objects.exists()
    assert describe_left_out() == "Not exported: API keys (1), budgets of API keys (1), stored keys of providers (1)."  # fmt: skip
