"""A small OpenID Connect issuer on loopback: code flow with PKCE, signed ID tokens."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "our-client", "our-secret"


@dataclass
class Issuer:
    """What it says of the person who signs in; `asked` are the authorization requests."""

    url: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    token: dict[str, Any] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    key: Any = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def configuration(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/jwks",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }

    def authorize(self, location: str) -> str:
        """As the browser follows the redirect to us; returns where it is sent back."""
        sent = {key: value[0] for key, value in parse_qs(urlsplit(location).query).items()}  # fmt: skip
        assert location.startswith(f"{self.url}/authorize?")
        assert (sent["client_id"], sent["response_type"]) == (CLIENT, "code")
        assert sent["code_challenge_method"] == "S256"
        self.asked.append(sent)
        back = urlsplit(sent["redirect_uri"])
        return f"{back.path}?code=code-{len(self.asked)}&state={sent['state']}"

    def exchange(self, sent: dict[str, str]) -> dict[str, Any] | None:
        """The tokens for a code; None: refused."""
        made = base64.urlsafe_b64encode(hashlib.sha256(sent["code_verifier"].encode()).digest()).rstrip(b"=")  # fmt: skip
        known = self.asked[int(sent["code"].removeprefix("code-")) - 1]
        if (
            sent.get("client_secret") != SECRET
            or made.decode() != known["code_challenge"]
        ):
            return None
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 60, **self.claims, **self.token}  # fmt: skip
        signed = jwt.encode(claims, self.key, "RS256", {"kid": "one"})
        return {"access_token": "access", "token_type": "Bearer", "id_token": signed}


@contextmanager
def run_issuer() -> Iterator[Issuer]:
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Quiet."""

        def answer(self, body: dict[str, Any] | None) -> None:
            sent = json.dumps(body or {"error": "invalid_grant"}).encode()
            self.send_response(200 if body else 400)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def do_GET(self) -> None:
            if self.path.startswith("/.well-known/"):
                self.answer(issuer.configuration())
            elif self.path == "/userinfo":
                self.answer({**issuer.claims, **issuer.userinfo})
            else:
                self.answer(None)

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.answer(issuer.exchange({key: value[0] for key, value in parse_qs(text).items()}))  # fmt: skip

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield issuer
    server.shutdown()
    server.server_close()
