"""Keys on disk: they prove who reads, and nothing else."""

import time
from datetime import timedelta

import orjson
import pytest
from django.utils import timezone

from billing.auth import key_facts, keys, offline_keys
from billing.auth.offline_keys import SeenKeys
from tests.fixtures_billing import make_api_key, make_customer, make_team
from valuecanvas.core.errors import NotAuthenticated, Unavailable

pytestmark = pytest.mark.django_db
READS = ["flags:evaluate", "prompts:read"]


def on_disk(*texts: str, saved_at: float = 0) -> SeenKeys:
    """The keys as a process finds them that starts now."""
    prefixes = [keys.parse(one) or "" for one in texts]
    rows = offline_keys.dump(key_facts.load_keys(prefixes), prefixes)
    rows = orjson.loads(orjson.dumps(rows))
    return SeenKeys(offline_keys.restore(rows), saved_at or time.time())


def test_key__that_was_saved__proves_its_caller():
    end = timezone.now() + timedelta(days=1)
    customer = make_customer("alice", team=make_team("sales"))
    row, text = make_api_key(customer, scopes=["llm", *READS], expires_at=end)

    who = on_disk(text).authenticate(f"Bearer {text}", None)

    assert (who.customer_id, who.user_id, who.team) == (customer.pk, "alice", "sales")
    assert (who.key, who.tier) == (row.prefix, customer.tier_id)
    assert who.expires_at == end.timestamp()
    # No process may take it for one that pays.
    assert who.scopes == set(READS)


def test_keys__saved__are_no_secrets():
    row, text = make_api_key(scopes=READS)

    dumped = offline_keys.dump(key_facts.load_keys([row.prefix]), [row.prefix])

    assert text.rpartition(row.prefix)[2] not in str(dumped)
    assert dumped[row.prefix]["digest"] == row.digest


def test_keys__that_may_not_read_or_are_worth_nothing__are_not_saved():
    past = timezone.now() - timedelta(seconds=1)
    customer = make_customer("bob", suspended=True)
    useless = [
        make_api_key(scopes=["llm", "act_as"]),
        make_api_key(scopes=READS, revoked=True),
        make_api_key(scopes=READS, expires_at=past),
        make_api_key(customer, scopes=READS),
    ]
    first, last = make_api_key(scopes=READS), make_api_key(scopes=READS[:1])
    prefixes = [row.prefix for row, _ in (last, *useless, first)]

    dumped = offline_keys.dump(key_facts.load_keys(prefixes), [*prefixes, "unknown"])

    assert list(dumped) == [last[0].prefix, first[0].prefix]


def test_key__wrong_or_missing__is_told_so():
    _, text = make_api_key(scopes=READS)
    found = on_disk(text)

    for sent in (None, "Basic abc", "Bearer vc-short", f"Bearer {text[:-4]}abcd"):
        with pytest.raises(NotAuthenticated):
            found.authenticate(sent, None)


def test_caller__whom_only_the_database_knows__is_asked_to_wait():
    _, text = make_api_key(scopes=READS)
    _, other = make_api_key(scopes=READS)
    found = on_disk(text)

    for sent in (other, "a.b.c", "no-key"):
        with pytest.raises(Unavailable) as caught:
            found.authenticate(f"Bearer {sent}", None)
        assert caught.value.headers == {"Retry-After": "1"}


def test_key__that_expires_after_it_was_saved__is_refused(monkeypatch):
    end = timezone.now() + timedelta(minutes=1)
    _, text = make_api_key(scopes=READS, expires_at=end)
    found = on_disk(text)
    assert found.authenticate(f"Bearer {text}", None)

    monkeypatch.setattr(time, "time", lambda: end.timestamp())
    with pytest.raises(NotAuthenticated) as caught:
        found.authenticate(f"Bearer {text}", None)
    assert caught.value.code == "api_key_expired"


def test_key__in_a_file_of_yesterday__is_not_believed():
    _, text = make_api_key(scopes=READS)
    found = on_disk(text, saved_at=time.time() - offline_keys.MAX_AGE_S)

    with pytest.raises(Unavailable):
        found.authenticate(f"Bearer {text}", None)


def test_user__named_by_a_key__counts_only_where_it_may_act_for_others():
    customer = make_customer("alice")
    _, plain = make_api_key(customer, scopes=READS)
    _, acting = make_api_key(customer, scopes=[*READS, "act_as"])
    found = on_disk(plain, acting)

    assert found.authenticate(f"Bearer {plain}", "bob").user_id == "alice"
    assert found.authenticate(f"Bearer {acting}", "alice").user_id == "alice"
    with pytest.raises(Unavailable):
        found.authenticate(f"Bearer {acting}", "bob")


def test_keys__of_another_release__are_an_error():
    with pytest.raises((KeyError, TypeError, ValueError)):
        offline_keys.restore({"a": {"digest": "x"}})
