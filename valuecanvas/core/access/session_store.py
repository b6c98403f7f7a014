"""Sessions in the database whose keys prove that this site issued them.

A made-up cookie so costs no query. Keys of logins have a proof of their own: anybody gets
a session by opening a page that keeps something in one. The proofs guard nothing else: what
cannot be guessed is the rest of the key, as in Django's own store.
"""

from django.contrib.sessions.backends import db
from django.utils.crypto import constant_time_compare, salted_hmac

# The column has 40 characters, 32 of which are Django's random key.
KEY_LENGTH = 40
_PROOF_LENGTH = 8
_VISIT, _LOGIN = "valuecanvas.session", "valuecanvas.session.login"


class SessionStore(db.SessionStore):
    """Django's, with a proof at the end of each key."""

    _login = False

    def cycle_key(self) -> None:
        # Django asks for a new key when somebody logs in, and for nothing else but
        # changes of such a session.
        self._login = True
        super().cycle_key()

    async def acycle_key(self) -> None:
        self._login = True
        await super().acycle_key()

    def _get_new_session_key(self) -> str:
        key = super()._get_new_session_key()  # type: ignore[misc]  # not in the stubs
        return add_proof(key, login=self._login)

    async def _aget_new_session_key(self) -> str:
        key = await super()._aget_new_session_key()  # type: ignore[misc]  # not in the stubs
        return add_proof(key, login=self._login)

    def _validate_session_key(self, key: str | None) -> bool:
        # Django looks up no key that is not valid.
        return is_issued(key or "")


def add_proof(key: str, *, login: bool) -> str:
    """`key` with the proof of a login, or of any visit."""
    return key + _proof(key, _LOGIN if login else _VISIT)


def is_issued(key: str) -> bool:
    """Whether this site has issued a session's key; it may have expired since."""
    return _has_proof(key, _VISIT) or is_of_login(key)


def is_of_login(key: str) -> bool:
    """Whether it was issued to somebody who had just logged in."""
    return _has_proof(key, _LOGIN)


def _has_proof(key: str, salt: str) -> bool:
    start, proof = key[:-_PROOF_LENGTH], key[-_PROOF_LENGTH:]
    return len(key) == KEY_LENGTH and constant_time_compare(proof, _proof(start, salt))


def _proof(key: str, salt: str) -> str:
    return salted_hmac(salt, key, algorithm="sha256").hexdigest()[:_PROOF_LENGTH]
