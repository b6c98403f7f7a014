"""Authentication by API key on the cold path, besides the admin's sessions.

Reads the key's row for each request: one indexed query, and no stale cache.
Tokens of users (JWT) carry no scope that a cold endpoint asks for, so they are refused.
"""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from billing.auth import key_check, key_facts, keys
from billing.auth.principal import Principal
from valuecanvas.core.api.access import KeyUser
from valuecanvas.core.api.throttle import WrongKeyThrottle
from valuecanvas.core.errors import NotAuthenticated
from valuecanvas.core.telemetry import request_context


class KeyAuthentication(BaseAuthentication):
    """`request.user` becomes a KeyUser and `request.auth` the Principal.

    Without an Authorization header the next authentication class is used.
    """

    def authenticate(self, request: Request) -> tuple[KeyUser, Principal] | None:
        """Raises NotAuthenticated, NotPermitted (suspended), TooManyRequests."""
        authorization = key_check.authorization(request.META)
        if not authorization:
            return None
        text = key_check.bearer(authorization)
        prefix = key_check.prefix(text)
        throttle = WrongKeyThrottle(request, prefix)
        throttle.refuse()
        try:
            found = key_facts.load_keys([prefix]).get(prefix)
            who = key_check.prove(text, found)
        except NotAuthenticated as error:
            raise throttle.count_failure(error) from None
        if key_check.needs_upgrade(text, found):
            keys.upgrade_digest(prefix, text)
        request_context.add(
            customer_id=str(who.customer_id), key=who.key, team=who.team
        )
        issuer = found.issuer if found else ""
        return KeyUser(who.key, who.scopes, issuer, who.frozen_scopes), who

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Its description in the OpenAPI document."""

    target_class = "valuecanvas.http.api_auth.KeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key (vc-...) or a bearer token of your users.",
        }
