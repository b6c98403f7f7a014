"""An identity provider for tests: it signs tokens, and serves its keys over HTTP."""

import base64
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ISSUER = "https://project.supabase.test/auth/v1"
AUDIENCE = "authenticated"
SECRET = "a secret of the project, long enough for HS256"


def claims(**changes: Any) -> dict[str, Any]:
    """Valid claims as Supabase sends them; None takes a claim away."""
    whole = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": int(time.time()) + 3600,
        "iat": int(time.time()),
        "sub": "6d0a5e6e-0000-4000-8000-000000000001",
        "role": "authenticated",
        "email": "someone@example.com",
        "user_metadata": {},
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def hs256(secret: str = SECRET, **changes: Any) -> str:
    return jwt.encode(claims(**changes), secret, algorithm="HS256")


def raw(header: Any, payload: Any, signature: bytes = b"") -> str:
    """A token of any header and payload, as JSON or as bytes, however malformed."""
    parts = [
        one if isinstance(one, bytes) else orjson.dumps(one)
        for one in (header, payload)
    ]
    return ".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=").decode()
        for part in (*parts, signature)
    )


def hmac_under(secret: bytes, header: dict[str, Any]) -> str:
    """A token whose signature is HS256 under any bytes, which libraries refuse."""
    unsigned = raw(header, claims())
    signature = hmac.digest(secret, unsigned.rstrip(".").encode(), "sha256")
    return raw(header, claims(), signature)


class Issuer:
    """Keys by kid. `answer` replaces what the key set's URL gives."""

    def __init__(self) -> None:
        self.url = ""
        self.fetched = 0
        self.answer: web.Response | None = None
        self.keys: dict[str, Any] = {}
        self.public: list[dict[str, Any]] = []

    def add_ec(self, kid: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self._add(kid, key, jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))

    def add_rsa(self, kid: str, bits: int = 2048) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        self._add(kid, key, jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))

    def _add(self, kid: str, key: Any, public: str) -> None:
        self.keys[kid] = key
        self.public.append({**orjson.loads(public), "kid": kid, "use": "sig"})

    def token(self, kid: str, *, algorithm: str = "ES256", **changes: Any) -> str:
        return jwt.encode(
            claims(**changes),
            self.keys[kid],
            algorithm=algorithm,
            headers={"kid": kid},
        )

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.fetched += 1
        if self.answer is not None:
            return self.answer
        return web.json_response({"keys": self.public})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get("/jwks.json", self.serve)
        async with TestServer(app) as server:
            self.url = str(server.make_url("/jwks.json"))
            yield
