"""S11, S12: tokens signed with the project's secret: what is believed, and what is not.

More than forty forged tokens are refused, and tokens that begin alike are told apart.
"""

import time

import jwt
import orjson
import pytest
from django.core.exceptions import ImproperlyConfigured

from billing.auth import jwt as tokens
from billing.auth.jwt import JwtVerifier
from tests.billing.issuer import (
    AUDIENCE,
    ISSUER,
    SECRET,
    claims,
    hmac_under,
    hs256,
    raw,
)
from valuecanvas.core.errors import NotAuthenticated

PUBLIC_PEM = (
    b"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n"
    b"-----END PUBLIC KEY-----\n"
)


def now() -> int:
    return int(time.time())


@pytest.fixture(autouse=True)
def configured(settings) -> None:
    settings.JWT_SECRET = SECRET
    settings.JWT_JWKS_URL = ""
    settings.JWT_ISSUER = ISSUER
    settings.JWT_AUDIENCE = AUDIENCE
    settings.JWT_LEEWAY_S = 30


async def test_verify__a_valid_token__gives_its_user_and_end():
    end = now() + 100
    found = await JwtVerifier().verify(hs256(exp=end))
    assert found == tokens.Claims(claims()["sub"], end + 30)


@pytest.mark.parametrize("told", [True, "true", 1])
async def test_verify__anonymous_user_of_supabase__is_refused_unless_allowed(
    settings, told
):
    token = hs256(is_anonymous=told)
    with pytest.raises(NotAuthenticated) as caught:
        await JwtVerifier().verify(token)
    assert caught.value.code == "anonymous_user"
    settings.JWT_ALLOW_ANONYMOUS = True
    assert await JwtVerifier().verify(token)


async def test_verify__audience_among_several__is_valid():
    assert await JwtVerifier().verify(hs256(aud=["other", AUDIENCE]))


async def test_verify__clock_a_little_off__is_valid():
    token = hs256(exp=now() - 20, nbf=now() + 20, iat=now() + 20)
    assert await JwtVerifier().verify(token)


FORGED = {
    "none": lambda: jwt.encode(claims(), None, algorithm="none"),
    "None in other letters": lambda: raw({"alg": "NoNe", "typ": "JWT"}, claims()),
    "no algorithm": lambda: raw({"typ": "JWT"}, claims()),
    "another secret": lambda: hs256("another secret of thirty-two bytes or more"),
    "empty signature": lambda: hs256().rpartition(".")[0] + ".",
    "HS512": lambda: jwt.encode(claims(), SECRET * 2, algorithm="HS512"),
    "HS384": lambda: jwt.encode(claims(), SECRET * 2, algorithm="HS384"),
    "payload exchanged": lambda: _exchanged(),
    "header exchanged": lambda: raw({"alg": "RS256"}, {}) + "x",
    "another issuer": lambda: hs256(iss="https://evil.test"),
    "issuer that begins alike": lambda: hs256(iss=ISSUER + ".evil.test"),
    "issuers in a list": lambda: _signed(iss=[ISSUER]),
    "no issuer": lambda: hs256(iss=None),
    "another audience": lambda: hs256(aud="other"),
    "no audience": lambda: hs256(aud=None),
    "empty audience": lambda: hs256(aud=[]),
    "no end": lambda: hs256(exp=None),
    "end is text": lambda: hs256(exp="tomorrow"),
    "end is infinite": lambda: _signed_bytes(b'"exp":Infinity'),
    "end is not a number": lambda: _signed_bytes(b'"exp":NaN'),
    "end is 1e400": lambda: _signed_bytes(b'"exp":1e400'),
    "end has 400 digits": lambda: _signed_bytes(b'"exp":' + b"9" * 400),
    "end has 5000 digits": lambda: _signed_bytes(b'"exp":' + b"9" * 5000),
    "not yet valid": lambda: hs256(nbf=now() + 600),
    "issued in the future": lambda: hs256(iat=now() + 600),
    "role anon": lambda: hs256(role="anon"),
    "role service_role": lambda: hs256(role="service_role"),
    "no role": lambda: hs256(role=None),
    "roles in a list": lambda: hs256(role=["authenticated"]),
    "role from user_metadata": lambda: hs256(
        role=None, user_metadata={"role": "authenticated"}
    ),
    "no sub": lambda: hs256(sub=None),
    "sub is a number": lambda: _signed(sub=7),
    "sub is a list": lambda: _signed(sub=["a"]),
    "critical extension": lambda: jwt.encode(
        claims(), SECRET, algorithm="HS256", headers={"crit": ["exp"]}
    ),
    "detached payload": lambda: raw(
        {"alg": "HS256", "b64": False, "crit": ["b64"]}, claims()
    ),
    "payload is a list": lambda: _signed_bytes(b"", whole=b"[]"),
    "payload is deep": lambda: _signed_bytes(b"", whole=b"[" * 5000),
    "header is deep": lambda: raw(b"[" * 5000, claims()),
    "header is no JSON": lambda: raw(b"\xff\xfe", claims()),
    "not base64": lambda: "!!.??.##",
    "empty parts": lambda: "..",
    "letters beyond ASCII": lambda: "é.é.é",
    "too long": lambda: hs256(filler="x" * tokens.MAX_LENGTH),
    "the public key as secret": lambda: hmac_under(
        PUBLIC_PEM, {"alg": "HS256", "typ": "JWT"}
    ),
}


def _signed(**changes: object) -> str:
    return jwt.api_jws.encode(
        orjson.dumps(claims(**changes)), SECRET, algorithm="HS256"
    )


def _signed_bytes(field: bytes, whole: bytes = b"") -> str:
    rest = orjson.dumps(claims(exp=None))
    payload = whole or rest[:-1] + b"," + field + b"}"
    return jwt.api_jws.encode(payload, SECRET, algorithm="HS256")


def _exchanged() -> str:
    header, _, signature = hs256().split(".")
    other = hs256(sub="the admin").split(".")[1]
    return f"{header}.{other}.{signature}"


@pytest.mark.parametrize("name", FORGED)
async def test_verify__a_forged_or_broken_token__is_refused(name):
    with pytest.raises(NotAuthenticated) as caught:
        await JwtVerifier().verify(FORGED[name]())
    assert caught.value.code == "invalid_token"


async def test_verify__past_its_end_and_the_leeway__is_refused_as_expired():
    with pytest.raises(NotAuthenticated) as caught:
        await JwtVerifier().verify(hs256(exp=now() - 60))
    assert caught.value.code == "token_expired"


async def test_verify__the_same_token_again__is_not_checked_again(settings):
    verifier, token = JwtVerifier(), hs256()
    first = await verifier.verify(token)
    settings.JWT_ISSUER = "https://changed.test"
    assert await verifier.verify(token) is first
    with pytest.raises(NotAuthenticated):
        await verifier.verify(hs256(jti="another"))


async def test_verify__remembered_for_longer_than_allowed__is_checked_again(
    settings, monkeypatch
):
    monkeypatch.setattr(tokens, "REMEMBER_S", 0.0)
    verifier, token = JwtVerifier(), hs256()
    await verifier.verify(token)
    settings.JWT_ISSUER = "https://changed.test"
    with pytest.raises(NotAuthenticated):
        await verifier.verify(token)


async def test_verify__remembered_and_then_past_its_end__is_refused(time_machine):
    start = time.time()
    time_machine.move_to(start, tick=False)
    verifier, token = JwtVerifier(), hs256(exp=int(start) + 5)
    await verifier.verify(token)
    time_machine.shift(50)
    with pytest.raises(NotAuthenticated) as caught:
        await verifier.verify(token)
    assert caught.value.code == "token_expired"


async def test_verify__in_its_leeway__is_not_remembered(settings):
    verifier, token = JwtVerifier(), hs256(exp=now() - 5)
    await verifier.verify(token)
    settings.JWT_ISSUER = "https://changed.test"
    with pytest.raises(NotAuthenticated):
        await verifier.verify(token)


async def test_verify__tokens_that_begin_alike__are_never_mixed_up():
    verifier = JwtVerifier()
    subs = [f"user-{number}" for number in range(200)]
    made = {sub: hs256(sub=sub) for sub in subs}
    assert len({token[:40] for token in made.values()}) == 1
    for _ in range(2):
        for sub, token in made.items():
            assert (await verifier.verify(token)).sub == sub


def test_tokens__short_secret__refuse_to_start(settings):
    settings.JWT_SECRET = "short"
    with pytest.raises(ImproperlyConfigured, match="32 bytes"):
        JwtVerifier()


def test_tokens__nothing_configured__are_not_enabled(settings):
    settings.JWT_SECRET = ""
    assert not JwtVerifier().enabled
