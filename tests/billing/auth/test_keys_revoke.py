"""Revoking is one-way."""

from datetime import timedelta

from django.utils import timezone

from billing.auth import keys
from billing.models import ApiKey
from valuecanvas.core.db import epoch


def test_revoke__an_active_key__is_revoked_with_a_change_row(api_key):
    key, _ = api_key
    before = epoch.current()
    keys.revoke(key)
    assert key.state(timezone.now()) == "revoked"
    assert ApiKey.objects.get().revoked_at == key.revoked_at
    assert epoch.changes_since(before)[1] == [epoch.ConfigChange("api_key", key.pk)]


def test_revoke__twice__keeps_the_first_moment_and_the_epoch(api_key):
    key, _ = api_key
    keys.revoke(key)
    first, at_epoch = key.revoked_at, epoch.current()
    keys.revoke(key)
    assert (key.revoked_at, epoch.current()) == (first, at_epoch)


def test_save__a_copy_from_before_the_revocation__does_not_undo_it(api_key):
    key, _ = api_key
    copy = ApiKey.objects.get(pk=key.pk)
    keys.revoke(key)
    copy.name = "renamed"
    copy.save()
    kept = ApiKey.objects.get(pk=key.pk)
    assert (kept.name, kept.revoked_at) == ("renamed", key.revoked_at)


def test_save__revocation_taken_back__stays_revoked(api_key):
    key, _ = api_key
    keys.revoke(key)
    key.revoked_at = None
    key.save(update_fields=["revoked_at"])
    assert ApiKey.objects.get(pk=key.pk).revoked_at is not None


def test_state__at_its_end__is_expired(api_key):
    key, _ = api_key
    now = timezone.now()
    key.expires_at = now
    assert key.state(now) == "expired"
    assert key.state(now - timedelta(microseconds=1)) == "active"
