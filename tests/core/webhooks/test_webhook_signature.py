"""Signatures by Standard Webhooks."""

import base64
import time

import pytest

from tests.core.webhooks.receiver import Received
from valuecanvas.core.webhooks import signature

# The example in the tests of the specification's own libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, TIME, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_sign__the_example_of_the_specification__has_its_signature() -> None:
    assert signature.sign([SECRET], ID, BODY, timestamp=TIME) == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_sign__two_secrets__has_both_signatures_with_a_space() -> None:
    other = signature.new_secret()
    headers = signature.sign([other, SECRET], ID, BODY, timestamp=TIME)
    first, second = headers["webhook-signature"].split(" ")
    assert (first[:3], second) == ("v1,", SIGNATURE)


def test_secret__new__is_32_random_bytes_in_base64() -> None:
    one, other = signature.new_secret(), signature.new_secret()
    assert one != other
    assert len(base64.b64decode(one.removeprefix("whsec_"))) == 32


@pytest.mark.parametrize("stale_s", [400, -400])
def test_signature__of_another_time__is_refused_by_receivers(
    stale_s: int,
) -> None:
    now, secret = int(time.time()), signature.new_secret()
    headers = signature.sign([secret], ID, BODY, timestamp=now - stale_s)
    assert not Received("/", headers, BODY).is_signed_by(secret)
    headers = signature.sign([secret], ID, BODY, timestamp=now)
    assert Received("/", headers, BODY).is_signed_by(secret)
    assert not Received("/", headers, BODY + b" ").is_signed_by(secret)
    assert not Received("/", headers, BODY).is_signed_by(signature.new_secret())
