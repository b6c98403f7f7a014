"""issue_key, revoke_key and rotate_key."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from billing.auth import keys
from billing.models import ApiKey, Customer
from tests.fixtures_billing import make_api_key, make_customer

pytestmark = pytest.mark.django_db


def run(*args: str) -> tuple[str, str]:
    """The command's standard output and standard error."""
    out, err = StringIO(), StringIO()
    call_command(*args, stdout=out, stderr=err, no_color=True)
    return out.getvalue().strip(), err.getvalue().strip()


def test_issue_key__a_new_user__adds_it_in_the_default_tier(free_tier):
    text, remark = run("issue_key", "--user", "alice")
    key = ApiKey.objects.get()
    assert keys.digest(text) == key.digest
    assert remark == "Keep this key now: it cannot be shown again."
    assert (key.customer.user_id, key.customer.tier) == ("alice", free_tier)
    assert (key.scopes, key.allowed_models, key.expires_at) == (["llm"], [], None)


def test_issue_key__every_option__is_kept(team, tier):
    run(
        *("issue_key", "--user", "bob", "--team", team.key, "--tier", tier.key),
        *("--name", "shop", "--scopes", "llm,act_as", "--models", "a, b"),
        *("--expires", "30"),
    )
    key = ApiKey.objects.get()
    assert (key.customer.team, key.customer.tier) == (team, tier)
    assert (key.name, key.scopes) == ("shop", ["act_as", "llm"])
    assert key.allowed_models == ["a", "b"]
    assert timedelta(days=29) < key.expires_at - timezone.now() < timedelta(days=31)


def test_issue_key__a_known_user__keeps_the_tier(customer):
    run("issue_key", "--user", customer.user_id)
    assert ApiKey.objects.get().customer == customer
    assert Customer.objects.count() == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--user", "a\nb"], "user id"),
        (["--user", "x" * 201], "user id"),
        (["--user", "a", "--team", "nobody"], "Team"),
        (["--user", "a", "--tier", "nothing"], "Tier"),
        (["--user", "known", "--tier", "nothing"], "is in the tier"),
        (["--user", "a", "--scopes", "root"], "root"),
        (["--user", "a", "--expires", "0"], "--expires"),
        (["--user", "a", "--expires", "999999999"], "--expires"),
    ],
)
def test_issue_key__wrong_option__is_refused_and_adds_nothing(free_tier, args, message):
    make_customer("known", tier=free_tier)
    with pytest.raises(CommandError, match=message):
        run("issue_key", *args)
    assert (ApiKey.objects.count(), Customer.objects.count()) == (0, 1)


@pytest.mark.parametrize("shown", ["{}", "vc-{}", "vc-{}-…"])
def test_revoke_key__named_in_any_way__is_revoked(api_key, shown):
    key, _ = api_key
    said, _ = run("revoke_key", shown.format(key.prefix))
    assert said.startswith(f"Revoked {key}")
    assert ApiKey.objects.get().revoked_at is not None


def test_revoke_key__unknown_prefix__is_refused():
    with pytest.raises(CommandError, match="no key"):
        run("revoke_key", "ABCDEFGHIJKL")


def test_rotate_key__with_an_overlap__prints_the_new_key(api_key):
    old, _ = api_key
    text, remark = run("rotate_key", old.prefix, "--overlap", "1.5")
    new = ApiKey.objects.get(replaces=old)
    assert keys.digest(text) == new.digest
    old.refresh_from_db()
    assert f"{old.expires_at:%Y-%m-%d %H:%M}" in remark
    assert old.expires_at - timezone.now() < timedelta(hours=1.5)


@pytest.mark.parametrize("overlap", ["-1", "1e300", "nan"])
def test_rotate_key__wrong_overlap__is_refused(api_key, overlap):
    with pytest.raises(CommandError):
        run("rotate_key", api_key[0].prefix, "--overlap", overlap)
    assert ApiKey.objects.count() == 1


def test_rotate_key__a_revoked_key__is_refused(customer):
    old, _ = make_api_key(customer, revoked=True)
    with pytest.raises(CommandError, match="revoked"):
        run("rotate_key", old.prefix)
