"""Authentication: from an Authorization header to a principal, cached in memory.

How every process drops a cached caller after a change:
- code that reads changes calls `drop` *before* it publishes the new snapshot;
- code that serves a request takes its snapshot *before* it looks up the caller, and
  looks again whenever admission says that the snapshot is old;
- a row that was being read while `drop` ran is read again, never cached (`_drops`).
Then a principal is never older than the epoch that its request is admitted under.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import structlog
from django.db import Error

from billing.auth import key_check, key_facts, keys
from billing.auth.act_as import ActAsRefusal, find_refusal
from billing.auth.customers import is_user_id
from billing.auth.jwt import JwtVerifier
from billing.auth.key_facts import CustomerFacts, KeyFacts, UserKey
from billing.auth.lookups import Lookups
from billing.auth.principal import Principal
from billing.models import Scope
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.db.epoch import ConfigChange
from valuecanvas.core.errors import (
    InvalidRequest,
    NotAuthenticated,
    NotPermitted,
    Unavailable,
    scope_frozen,
)
from valuecanvas.core.storage.lru import Lru

log = structlog.get_logger("billing.callers")
K = TypeVar("K")
V = TypeVar("V")
SIZE = 20_000
# A caller refused from the cache never reaches admission, so this process would not
# notice a new epoch: refusals are cached this long only.
REFUSED_S = 1.0
UNKNOWN_S = 5.0
TOKEN_SCOPES = frozenset({Scope.LLM.value, Scope.FLAGS_EVALUATE.value})
ACT_AS = Scope.ACT_AS.value
REFUSALS = {
    ActAsRefusal.OTHER_TEAM: "This key may not name this '{param}', who is of another team.",
    ActAsRefusal.USER_HAS_KEY: (
        "This key may not name this '{param}', who has an API key: a key without a team "
        "acts only for users that have none. Call with that user's own key, or have an "
        "operator put both into one team."
    ),
    ActAsRefusal.USER_HAS_JWT: (
        "This key may not name this '{param}': users without a team sign in with bearer "
        "tokens here. Have an operator put the key's customer into a team, whose users "
        "are apart, or give the key the scope 'act_as_jwt'."
    ),
}


class Callers:
    """The cache of callers. One per process, on one event loop.

    Misses are read through `db`. Raises ImproperlyConfigured (JWT_SECRET).
    """

    def __init__(self, db: DbThread, *, size: int = SIZE) -> None:
        self._tokens = JwtVerifier()
        self._keys: Lru[str, KeyFacts] = Lru(size)
        self._unknown: Lru[str, float] = Lru(size)  # prefix -> until, monotonic
        self._customers: Lru[UserKey, CustomerFacts] = Lru(size)
        self._key_lookups = Lookups(key_facts.load_keys, db)
        self._customer_lookups = Lookups(key_facts.load_customers, db)
        self._drops = 0
        self._db = db
        self._upgrade: asyncio.Task[None] | None = None

    async def authenticate(self, authorization: str | None) -> Principal:
        """The caller who sent this Authorization header.

        Raises NotAuthenticated, NotPermitted (suspended) or Unavailable.
        """
        text = key_check.bearer(authorization)
        if text.startswith("vc-"):
            return await self._by_key(text)
        if self._tokens.enabled and text.count(".") == 2:
            return await self._by_token(text)
        raise key_check.unknown_key()

    async def load_user(self, user_id: str, *, team: str = "") -> Principal:
        """The principal of a user without a token: for jobs, commands and the admin.

        Raises InvalidRequest, NotPermitted (suspended) or Unavailable.
        """
        return await self._principal((team, _check_user_id(user_id)))

    async def load_key(self, prefix: str) -> Principal:
        """The principal of a key whose text was checked when its job was submitted.

        Raises NotAuthenticated (revoked, expired, deleted), NotPermitted or Unavailable.
        """
        return key_check.require_valid(await self._key(prefix))

    async def act_for(
        self, principal: Principal, user_id: str, *, param: str = "user"
    ) -> Principal:
        """The user that the caller acts for: see billing/auth/act_as.py.

        `param` is where the request names that user, for the errors. Raises InvalidRequest, NotPermitted (no such right; suspended) or Unavailable.
        """
        if user_id == principal.user_id:
            return principal
        if ACT_AS not in principal.scopes:
            if ACT_AS in principal.frozen_scopes:
                raise scope_frozen(ACT_AS, param)
            raise NotPermitted(
                "This key may not name another user: it lacks the scope 'act_as'.",
                param=param,
            )
        # Before the look-up, which adds who is new.
        _check_reach(principal, has_key=False, param=param)
        other = await self._customer((principal.team, _check_user_id(user_id, param)))
        _check_reach(principal, has_key=other.has_key, param=param)
        if other.suspended:
            raise key_check.suspended_error()
        return replace(
            principal,
            customer_id=other.id,
            user_id=user_id,
            tier=other.tier,
            own_limits=other.own_limits,
        )

    def has_cached(self, prefix: str) -> bool:
        """Whether this key is cached: then checking it needs no database."""
        return self._keys.get(prefix) is not None

    def peek(self, authorization: str | None) -> Principal | None:
        """The caller, if its key is in memory and right; nothing is looked up."""
        try:
            text = key_check.bearer(authorization)
            found = self._keys.get(key_check.prefix(text))
            return key_check.prove(text, found) if found else None
        except (NotAuthenticated, NotPermitted):
            return None

    def peek_owner(self, authorization: str | None) -> Principal | None:
        """Whose key this claims to be, right or not, if that key is in memory."""
        try:
            found = self._keys.get(key_check.prefix(key_check.bearer(authorization)))
        except NotAuthenticated:
            return None
        return found.principal if found else None

    def drop(self, changes: Iterable[ConfigChange]) -> None:
        """Forget what changed. Call before the snapshot after the change is published."""
        changed = list(changes)
        prefixes = {one.key for one in changed if one.kind == "api_key"}
        customers = {one.key for one in changed if one.kind == "customer"}
        if not (prefixes or customers):
            return
        self._invalidate_lookups()
        for prefix in prefixes:
            self._keys.drop(prefix)
            self._unknown.drop(prefix)
        if customers:
            self._keys.drop_where(lambda f: str(f.principal.customer_id) in customers)
        # A prefix does not name its customer, and `has_key` of any customer may have changed.
        self._customers.drop_where(lambda f: bool(prefixes) or str(f.id) in customers)

    def clear(self) -> None:
        """Forget every key and customer."""
        self._invalidate_lookups()
        self._keys.clear()
        self._unknown.clear()
        self._customers.clear()

    def _invalidate_lookups(self) -> None:
        self._drops += 1
        self._key_lookups.forget()
        self._customer_lookups.forget()

    async def _by_key(self, text: str) -> Principal:
        prefix = key_check.prefix(text)
        found = await self._key(prefix)
        who = key_check.prove(text, found)
        if key_check.needs_upgrade(text, found) and not self._upgrade:
            self._upgrade = asyncio.create_task(self._upgrade_digest(prefix, text))
        return who

    async def _upgrade_digest(self, prefix: str, text: str) -> None:
        try:
            await self._db.run(keys.upgrade_digest, prefix, text)
        except (Error, Unavailable) as error:
            # The next request with this key tries again.
            log.warning("key.not_upgraded", key=prefix, error=type(error).__name__)
        finally:
            self._upgrade = None

    async def _key(self, prefix: str) -> KeyFacts | None:
        found = self._keys.get(prefix)
        if found is None or (
            found.refuses(time.time()) and _older(found.loaded_at, REFUSED_S)
        ):
            found = await self._find_key(prefix)
        return found

    async def _find_key(self, prefix: str) -> KeyFacts | None:
        until = self._unknown.get(prefix)
        if until is not None and time.monotonic() < until:
            return None
        found = await self._look_up(self._key_lookups, prefix)
        if found is None:
            self._keys.drop(prefix)
            self._unknown.put(prefix, time.monotonic() + UNKNOWN_S)
        else:
            self._keys.put(prefix, found)
        return found

    async def _by_token(self, token: str) -> Principal:
        claims = await self._tokens.verify(token)
        if not is_user_id(claims.sub):
            raise NotAuthenticated(
                "The user (sub) of this token is not valid.", code="invalid_token"
            )
        who = await self._principal(("", claims.sub))
        return replace(who, expires_at=claims.expires_at)

    async def _principal(self, user: UserKey) -> Principal:
        found = await self._customer(user)
        if found.suspended:
            raise key_check.suspended_error()
        team, user_id = user
        return Principal(
            customer_id=found.id,
            user_id=user_id,
            tier=found.tier,
            team=team,
            key="",
            scopes=TOKEN_SCOPES,
            allowed_models=frozenset(),
            suspended=False,
            expires_at=None,
            own_limits=found.own_limits,
        )

    async def _customer(self, user: UserKey) -> CustomerFacts:
        found = self._customers.get(user)
        if found and not (found.suspended and _older(found.loaded_at, REFUSED_S)):
            return found
        found = await self._look_up(self._customer_lookups, user)
        if found is None:
            raise Unavailable("New users cannot be added now: no tier is set for them.")
        self._customers.put(user, found)
        return found

    async def _look_up(self, lookups: Lookups[K, V], key: K) -> V | None:
        while True:
            drops = self._drops
            found = await lookups.get(key)
            if drops == self._drops:
                return found


def _check_reach(principal: Principal, *, has_key: bool, param: str) -> None:
    refusal = find_refusal(principal, team=principal.team, has_key=has_key)
    if refusal:
        text = REFUSALS[refusal].format(param=param)
        raise NotPermitted(text, param=param, code=refusal.value)


def _check_user_id(user_id: str, param: str = "user") -> str:
    if not is_user_id(user_id):
        raise InvalidRequest(
            f"'{param}' must be text of 1 to 200 characters without control characters.",
            param=param,
        )
    return user_id


def _older(loaded_at: float, seconds: float) -> bool:
    return time.monotonic() - loaded_at > seconds
