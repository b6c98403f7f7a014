"""Keys: what is made, what is kept."""

import hashlib
import hmac

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from billing.auth import keys
from billing.models import ApiKey, Customer
from valuecanvas.core.db import epoch


def test_generate__called__gives_text_that_parses_to_its_prefix():
    text, prefix, digest = keys.generate()
    assert len(text) == len("vc-") + 12 + 1 + 43
    assert keys.parse(text) == prefix
    assert digest == keys.digest(text)


def test_generate__called_often__never_repeats():
    texts = {keys.generate()[0] for _ in range(2000)}
    assert len(texts) == 2000
    assert {keys.parse(text) for text in texts} == {text[3:15] for text in texts}


def test_digest__under_the_pepper__is_hmac_sha256_in_hex(settings):
    settings.KEY_PEPPER = "a pepper"
    expected = hmac.new(b"a pepper", b"vc-x-y", hashlib.sha256).hexdigest()
    assert keys.digest("vc-x-y") == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "vc-",
        "vc-ABCDEFGHIJKL",
        "vc-ABCDEFGHIJKL-",
        "vc-ABCDEFGHIJK_-" + "a" * 43,
        "VC-ABCDEFGHIJKL-" + "a" * 43,
        "vc-ABCDEFGHIJKL-" + "a" * 42,
        "vc-ABCDEFGHIJKL-" + "a" * 44,
        "vc-ABCDEFGHIJKL-" + "a" * 43 + "\n",
        "vc-ABCDEFGHIJKL-" + "a" * 42 + "é",
        "vc-ABCDEFGHIJKL-" + "a" * 42 + "'",
    ],
)
def test_parse__not_the_text_of_a_key__gives_none(text):
    assert keys.parse(text) is None


def test_issue__rights_given__keeps_them_and_no_secret(customer: Customer):
    key, text = keys.issue(
        customer=customer,
        name="shop",
        scopes=["act_as", "llm", "llm"],
        allowed_models=["b", "a", "b"],
    )
    kept = ApiKey.objects.get(pk=key.pk)
    assert (kept.scopes, kept.allowed_models) == (["act_as", "llm"], ["a", "b"])
    assert kept.digest == keys.digest(text)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(k)::text FROM billing_apikey k")
        assert text.split("-", 2)[2] not in cursor.fetchone()[0]


def test_issue__done__names_the_key_in_a_change_row(customer: Customer):
    before = epoch.current()
    key, _ = keys.issue(customer=customer, name="shop", scopes=["llm"])
    _, changes = epoch.changes_since(before)
    assert changes == [epoch.ConfigChange("api_key", key.prefix)]


@pytest.mark.parametrize(
    "wrong",
    [{"scopes": ["root"]}, {"scopes": []}, {"name": ""}, {"name": "x" * 121}],
)
def test_issue__wrong_field__is_refused_and_keeps_nothing(customer: Customer, wrong):
    with pytest.raises(ValidationError):
        keys.issue(**{"customer": customer, "name": "n", "scopes": ["llm"], **wrong})
    assert not ApiKey.objects.exists()
