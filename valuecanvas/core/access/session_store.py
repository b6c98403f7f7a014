"""Sessions in the database whose keys prove that this site issued them.

A made-up cookie so costs no query. The proof guards nothing else: what cannot be guessed
is the rest of the key, as in Django's own store.
"""

from django.contrib.sessions.backends import db
from django.utils.crypto import constant_time_compare, salted_hmac

# The column has 40 characters, 32 of which are Django's random key.
KEY_LENGTH = 40
_PROOF_LENGTH = 8
_SALT = "valuecanvas.session"


class SessionStore(db.SessionStore):
    """Django's, with a proof at the end of each key."""

    def _get_new_session_key(self) -> str:
        return add_proof(super()._get_new_session_key())  # type: ignore[misc]

    async def _aget_new_session_key(self) -> str:
        key = await super()._aget_new_session_key()  # type: ignore[misc]
        return add_proof(key)

    def _validate_session_key(self, key: str | None) -> bool:
        # Django looks up no key that is not valid.
        return is_issued(key or "")


def add_proof(key: str) -> str:
    """`key` with its proof."""
    return key + _proof(key)


def is_issued(key: str) -> bool:
    """Whether this site has issued a session's key; it may have expired since."""
    start, proof = key[:-_PROOF_LENGTH], key[-_PROOF_LENGTH:]
    return len(key) == KEY_LENGTH and constant_time_compare(proof, _proof(start))


def _proof(key: str) -> str:
    return salted_hmac(_SALT, key, algorithm="sha256").hexdigest()[:_PROOF_LENGTH]
