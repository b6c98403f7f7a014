"""S12: tokens signed with published keys: RS256 and ES256, fetched seldom.

A flood of unknown key ids costs one fetch in 30 seconds; keys that are known serve on.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext

import jwt
import orjson
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from billing.auth import jwks
from billing.auth.jwt import JwtVerifier
from tests.billing.issuer import AUDIENCE, ISSUER, Issuer, claims, hmac_under, raw
from valuecanvas.core.errors import NotAuthenticated, Unavailable


@pytest_asyncio.fixture
async def issuer(settings) -> AsyncIterator[Issuer]:
    made = Issuer()
    made.add_ec("ec-1")
    made.add_rsa("rsa-1")
    async with made.running():
        settings.JWT_SECRET = ""
        settings.JWT_JWKS_URL = made.url
        settings.JWT_ISSUER = ISSUER
        settings.JWT_AUDIENCE = AUDIENCE
        settings.JWT_LEEWAY_S = 30
        yield made


@pytest.fixture
def impatient(monkeypatch) -> None:
    """Every key is old at once, and every token may fetch."""
    monkeypatch.setattr(jwks, "FRESH_S", -1.0)
    monkeypatch.setattr(jwks, "FETCH_EVERY_S", 0.0)


async def refused(tokens: JwtVerifier, token: str) -> None:
    with pytest.raises(NotAuthenticated):
        await tokens.verify(token)


@pytest.mark.parametrize(("kid", "algorithm"), [("ec-1", "ES256"), ("rsa-1", "RS256")])
async def test_verify__signed_by_a_published_key__gives_its_user(
    issuer, kid, algorithm
):
    tokens = JwtVerifier()
    assert tokens.enabled
    found = await tokens.verify(issuer.token(kid, algorithm=algorithm))
    assert found.sub == claims()["sub"]


async def test_verify__many_at_once__fetches_once(issuer):
    tokens = JwtVerifier()
    made = [issuer.token("ec-1", sub=f"user-{number}") for number in range(50)]
    found = await asyncio.gather(*(tokens.verify(token) for token in made))
    assert [one.sub for one in found] == [f"user-{number}" for number in range(50)]
    assert issuer.fetched == 1


async def test_verify__flood_of_unknown_kids__fetches_once(issuer):
    tokens = JwtVerifier()
    await tokens.verify(issuer.token("ec-1"))
    issuer.add_ec("ec-2")
    for number in range(40):
        header = {"alg": "ES256", "kid": f"unknown-{number}"}
        await refused(tokens, raw(header, claims()))
    assert issuer.fetched == 1
    assert await tokens.verify(issuer.token("ec-1", sub="still served"))


async def test_verify__a_key_published_later__is_fetched_for(issuer, monkeypatch):
    monkeypatch.setattr(jwks, "FETCH_EVERY_S", 0.0)
    tokens = JwtVerifier()
    await tokens.verify(issuer.token("ec-1"))
    issuer.add_ec("ec-2")
    assert await tokens.verify(issuer.token("ec-2"))
    await tokens.verify(issuer.token("ec-2", sub="another"))
    assert issuer.fetched == 2


async def test_verify__a_key_withdrawn__is_refused(issuer, impatient):
    tokens = JwtVerifier()
    await tokens.verify(issuer.token("ec-1"))
    issuer.public = issuer.public[1:]
    await refused(tokens, issuer.token("ec-1", sub="another"))


HEADERS = {
    "no kid": {},
    "kid is a number": {"kid": 7},
    "kid is a list": {"kid": ["ec-1"]},
    "kid is a path": {"kid": "../../../dev/null"},
    "kid is SQL": {"kid": "x' UNION SELECT 'secret"},
    "kid is a URL": {"kid": "http://127.0.0.1:1/evil"},
    "kid is empty": {"kid": ""},
    "its own key": {"kid": "ec-9", "jwk": {"kty": "oct", "k": "AAAA", "kid": "ec-9"}},
    "its own key set": {"kid": "ec-9", "jku": "http://127.0.0.1:1/evil"},
    "its own certificate": {"kid": "ec-9", "x5u": "http://127.0.0.1:1/evil"},
    "none": {"alg": "none", "kid": "ec-1"},
    "HS256 under an RSA key": {"alg": "HS256", "kid": "rsa-1"},
    "RS256 under an EC key": {"alg": "RS256", "kid": "ec-1"},
    "ES256 under an RSA key": {"alg": "ES256", "kid": "rsa-1"},
    "PS256 under an RSA key": {"alg": "PS256", "kid": "rsa-1"},
}


@pytest.mark.parametrize("name", HEADERS)
async def test_verify__a_header_with_a_trick__is_refused(issuer, name):
    token = raw({"alg": "ES256", **HEADERS[name]}, claims(), b"x" * 64)
    await refused(JwtVerifier(), token)


async def test_verify__hmac_under_the_public_key__is_refused(issuer):
    key = issuer.keys["rsa-1"].public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, orjson.dumps(issuer.public[1])):
        for algorithm in ("HS256", "RS256"):
            header = {"alg": algorithm, "kid": "rsa-1", "typ": "JWT"}
            await refused(JwtVerifier(), hmac_under(secret, header))


async def test_verify__jku_beside_a_known_kid__is_not_followed(issuer):
    evil = Issuer()
    evil.add_ec("ec-1")
    async with evil.running():
        header = {"kid": "ec-1", "jku": evil.url, "x5u": evil.url}
        token = jwt.encode(claims(), evil.keys["ec-1"], "ES256", headers=header)
        await refused(JwtVerifier(), token)
    assert evil.fetched == 0


@pytest.mark.parametrize("kid", ["oct", "ec-384", "enc", "other-alg", "broken", "weak"])
async def test_verify__a_published_key_unfit_for_us__is_passed_over(issuer, kid):
    unfit = {
        "oct": {"kty": "oct", "k": "c2VjcmV0"},
        "ec-384": {"kty": "EC", "crv": "P-384"},
        "enc": {**issuer.public[1], "use": "enc"},
        "other-alg": {**issuer.public[1], "alg": "RS512"},
        "broken": {"kty": "RSA", "n": "!!", "e": "AQAB"},
        "weak": {},
    }
    if kid == "weak":
        issuer.add_rsa("weak", bits=1024)
    else:
        issuer.public.append({**unfit[kid], "kid": kid})
        issuer.keys[kid] = issuer.keys["rsa-1"]
    tokens = JwtVerifier()
    with pytest.warns() if kid == "weak" else nullcontext():
        token = issuer.token(kid, algorithm="RS256")
    await refused(tokens, token)
    assert await tokens.verify(issuer.token("ec-1"))


ANSWERS = {
    "an error": lambda: web.Response(status=500),
    "a redirect": lambda: web.Response(status=302, headers={"Location": "/other"}),
    "no JSON": lambda: web.Response(text="<html>"),
    "a list": lambda: web.json_response([]),
    "no keys": lambda: web.json_response({}),
    "keys that are none": lambda: web.json_response({"keys": ["kid"]}),
    "too much": lambda: web.Response(body=b" " * (jwks.MAX_BYTES + 1)),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_verify__no_key_set_to_be_had__is_unavailable(issuer, name):
    issuer.answer = ANSWERS[name]()
    with pytest.raises(Unavailable) as caught:
        await JwtVerifier().verify(issuer.token("ec-1"))
    assert caught.value.headers == {"Retry-After": "30"}
    assert issuer.fetched == 1


async def test_verify__provider_down__known_keys_serve_for_a_while(
    issuer, impatient, monkeypatch
):
    tokens = JwtVerifier()
    await tokens.verify(issuer.token("ec-1"))
    issuer.answer = web.Response(status=503)
    assert await tokens.verify(issuer.token("ec-1", sub="another"))
    monkeypatch.setattr(jwks, "STALE_S", -1.0)
    with pytest.raises(Unavailable):
        await tokens.verify(issuer.token("ec-1", sub="a third"))
    assert issuer.fetched == 3


async def test_verify__provider_unreachable__is_asked_once_in_its_time(
    settings, issuer
):
    settings.JWT_JWKS_URL = "http://127.0.0.1:9/jwks.json"
    tokens = JwtVerifier()
    for _ in range(3):
        with pytest.raises(Unavailable):
            await tokens.verify(issuer.token("ec-1"))


async def test_verify__first_caller_leaves__the_others_get_their_keys(issuer):
    tokens = JwtVerifier()
    first = asyncio.create_task(tokens.verify(issuer.token("ec-1")))
    others = [
        asyncio.create_task(tokens.verify(issuer.token("ec-1", sub=f"user-{number}")))
        for number in range(5)
    ]
    await asyncio.sleep(0)
    first.cancel()
    found = await asyncio.gather(*others)
    assert len(found) == 5
    assert issuer.fetched == 1
