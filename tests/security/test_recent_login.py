"""S4: whatever is dangerous needs a log-in of the last minutes."""

from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db.models import Model
from django.test import Client
from django.urls import NoReverseMatch, reverse

from billing.models import ApiKey
from tests.admin.rows import MAKE
from tests.fixtures_billing import make_customer
from tests.fresh_logins import make_stale
from valuecanvas.core.access.recent_login import RecentLoginAdmin
from valuecanvas.core.audit.models import AuditEntry

AGAIN = "/admin/account/reauthenticate/"
NAMES = {"Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True)
class Act:
    """One dangerous view: the end of its URL's name, for a row of a model."""

    model: str
    name: str
    # A GET there only leads back to the row.
    post_only: bool = False
    # What its URL names, if not a row.
    key: str = ""

    @property
    def url_name(self) -> str:
        return f"admin:{self.name}"

    def url(self) -> str:
        try:
            return reverse(self.url_name, args=[self.key] if self.key else None)
        except NoReverseMatch:
            return reverse(self.url_name, args=[MAKE[self.model]().pk])


ACTS = [
    Act("auth.group", "auth_group_add"),
    Act("auth.group", "auth_group_change"),
    Act("auth.group", "auth_group_delete"),
    Act("auth.user", "auth_user_add"),
    Act("auth.user", "auth_user_change"),
    Act("auth.user", "auth_user_invite_page"),
    Act("auth.user", "auth_user_new_link"),
    Act("auth.user", "auth_user_delete"),
    Act("auth.user", "auth_user_password_change"),
    Act("auth.user", "auth_user_reset_factors_page"),
    Act("backups.backup", "backups_backup_download"),
    Act("backups.backup", "backups_backup_verify", post_only=True),
    Act("backups.backup", "backups_make", post_only=True),
    Act("billing.alertchannel", "billing_alertchannel_add"),
    Act("billing.alertchannel", "billing_alertchannel_change"),
    Act("billing.alertchannel", "billing_alertchannel_delete"),
    Act("billing.apikey", "billing_apikey_add"),
    Act("billing.apikey", "billing_apikey_change"),
    Act("billing.apikey", "billing_apikey_rotate_page"),
    Act("billing.apikey", "billing_apikey_take_over_page"),
    Act("billing.customer", "billing_customer_delete"),
    Act("billing.customer", "billing_customer_erase"),
    Act("billing.customer", "billing_customer_export"),
    Act("core.webhookendpoint", "core_webhookendpoint_enable"),
    Act("core.webhookendpoint", "core_webhookendpoint_rotate"),
    Act("llm.chaosexperiment", "llm_chaosexperiment_add"),
    Act("llm.chaosexperiment", "llm_chaosexperiment_change"),
    Act("llm.chaosexperiment", "llm_chaosexperiment_delete"),
    Act("llm.chaosexperiment", "llm_chaosexperiment_start"),
    Act("llm.chaosexperiment", "llm_chaos_drill", key="redis-down"),
    Act("llm.job", "llm_job_content"),
    Act("llm.provider", "llm_provider_add"),
    Act("llm.provider", "llm_provider_change"),
    Act("llm.provider", "llm_provider_delete"),
]
# Other pages of the same models: they show, stop, or send nothing out.
HARMLESS = {
    "auth_group_changelist", "auth_group_history", "auth_user_changelist",
    "auth_user_history", "auth_user_invited", "auth_user_withdraw", "billing_alertchannel_changelist",
    "billing_alertchannel_deliveries", "billing_alertchannel_history",
    "billing_alertchannel_test", "billing_apikey_changelist", "billing_apikey_delete",
    "billing_apikey_history", "billing_apikey_issued", "billing_apikey_revoke_page",
    "llm_chaosexperiment_changelist", "llm_chaosexperiment_history",
    "core_webhookendpoint_add", "core_webhookendpoint_change",
    "core_webhookendpoint_changelist", "core_webhookendpoint_delete",
    "core_webhookendpoint_history", "llm_provider_add_models", "llm_provider_changelist",
    "llm_provider_discover", "llm_provider_history", "llm_provider_test",
}  # fmt: skip
WHOLE = {"auth.group", "auth.user", "billing.alertchannel", "billing.apikey", "core.webhookendpoint", "llm.chaosexperiment", "llm.provider"}  # fmt: skip


@pytest.fixture(autouse=True)
def _chaos_on(settings: Any) -> None:
    settings.CHAOS_ENABLED = True


@pytest.fixture
def boss(db: None) -> Client:
    cache.clear()
    client = Client(headers=NAMES)
    client.force_login(User.objects.create_superuser("boss", password="pw"))
    return client


def row_counts() -> dict[str, int]:
    # The refusal itself is in the audit.
    models: list[type[Model]] = [x for x in admin.site._registry if x is not AuditEntry]
    return {model._meta.label: model._default_manager.count() for model in models}


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_dangerous_view__with_a_stale_login__does_nothing(
    boss: Client, act: Act
) -> None:
    url = act.url()
    make_stale(boss)
    before, written = row_counts(), LogEntry.objects.count()
    if not act.post_only:
        answer = boss.get(url)
        assert (answer.status_code, answer["Location"]) == (302, f"{AGAIN}?next={quoted(url)}")  # fmt: skip
    typed = {"name": "what I typed", "reason": "since", "post": "yes", "password": "pw"}
    answer = boss.post(url, typed)
    page = answer.content.decode()
    assert answer.status_code == 403
    assert "Confirm that it is you" in page
    assert 'value="what I typed"' in page
    assert "password" in page
    assert 'value="pw"' not in page
    assert row_counts() == before
    assert LogEntry.objects.count() == written
    answer = boss.post(url, typed, headers={"Accept": "application/json"})
    assert answer.status_code == 403
    assert "log in again" in answer.content.decode()


def quoted(url: str) -> str:
    return url.replace("/", "%2F")


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_dangerous_view__with_a_fresh_login__opens(boss: Client, act: Act) -> None:
    answer = boss.get(act.url())
    assert not answer.get("Location", "").startswith(AGAIN)
    assert answer.status_code in (200, 302, 403)
    if not act.post_only:
        assert answer.status_code == (302 if act.name.endswith("download") else 200)


@pytest.mark.parametrize("label", sorted(WHOLE))
def test_table__of_the_models_that_are_dangerous__has_all_their_pages(
    label: str,
) -> None:
    [owner] = [one for model, one in admin.site._registry.items() if model._meta.label_lower == label]  # fmt: skip
    names = {one.name for one in owner.get_urls() if one.name}
    assert names - HARMLESS == {act.name for act in ACTS if act.model == label and act.name in names}  # fmt: skip
    assert names
    is_dangerous = label != "core.webhookendpoint"
    assert isinstance(owner, RecentLoginAdmin) == is_dangerous


def test_table__of_admins_that_need_it__has_each() -> None:
    found = {
        model._meta.label_lower
        for model, one in admin.site._registry.items()
        if isinstance(one, RecentLoginAdmin)
        or any(page.recent_login for page in getattr(one, "pages", ()))
    }
    assert found == {act.model for act in ACTS}


def test_key__after_re_authentication__is_issued_from_the_page_that_kept_the_input(
    boss: Client,
) -> None:
    customer = make_customer()
    sent = {"name": "mine", "customer": customer.pk, "scopes": ["llm"], "cache_policy": "auto", "allowed_models": "", "expires_at_0": "", "expires_at_1": ""}  # fmt: skip
    make_stale(boss)
    url = reverse("admin:billing_apikey_add")
    assert boss.post(url, sent).status_code == 403
    assert not ApiKey.objects.exists()
    assert boss.post(f"{AGAIN}?next={url}", {"password": "wrong"}).status_code == 200
    assert boss.post(url, sent).status_code == 403
    assert boss.post(f"{AGAIN}?next={url}", {"password": "pw"})["Location"] == url
    assert boss.post(url, sent).status_code == 302
    assert ApiKey.objects.get().name == "mine"


@pytest.mark.parametrize("name", ["auth_user", "auth_group", "llm_provider", "billing_alertchannel"])  # fmt: skip
def test_deletion__of_many_from_the_list__needs_it(boss: Client, name: str) -> None:
    row: Any = MAKE[name.replace("_", ".", 1)]()
    make_stale(boss)
    sent = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"}
    assert boss.post(reverse(f"admin:{name}_changelist"), sent).status_code == 403
    assert type(row).objects.filter(pk=row.pk).exists()
