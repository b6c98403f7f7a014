"""Counts failed logins by account and by address, and locks them after too many.

An attempt is counted before the password is checked, and taken back if it was right:
else simultaneous attempts would all pass before the first of them is counted.
"""

from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q

from valuecanvas.core.audit.record import record
from valuecanvas.core.models import LoginFailure

log = structlog.get_logger("login")
MOST_NAME = 150
MOST_PURGED = 1000
# Returns no row for a locked name, which is neither counted nor locked for longer.
_COUNT = """
INSERT INTO core_login_failure AS held (name, failures, until)
VALUES (%(name)s, 1, clock_timestamp() + %(seconds)s * interval '1 second')
ON CONFLICT (name) DO UPDATE SET
    failures = CASE WHEN held.until <= clock_timestamp() THEN 1
                    ELSE held.failures + 1 END,
    until = excluded.until
WHERE held.until <= clock_timestamp() OR held.failures < %(most)s
RETURNING failures
"""
_LEFT = """
SELECT ceil(extract(epoch FROM until - clock_timestamp()))
FROM core_login_failure WHERE name = %s
"""
_PURGE = """
DELETE FROM core_login_failure WHERE name IN (
    SELECT name FROM core_login_failure WHERE until <= clock_timestamp()
    LIMIT %s FOR UPDATE SKIP LOCKED)
"""


class Locked(Exception):
    """Too many failed logins to this account, or from this address."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """One attempt to log in: call `begin`, then one of the others with its outcome.

    `username` is empty where nobody knows yet who it is: then the address alone counts.
    """

    username: str
    address: str

    @property
    def names(self) -> list[str]:
        """What is counted. An address that is locked must not lock accounts."""
        account = [_account(self.username)] if self.username else []
        return [_address(self.address), *account]

    def begin(self) -> None:
        """Count the attempt. Raises Locked; then it is not counted."""
        try:
            with transaction.atomic():
                for name in self.names:
                    _count(name)
        except Locked as error:
            self._log("login.locked", seconds=error.seconds)
            raise

    def record_success(self) -> None:
        """Reset the account's count; for the address take back this attempt only."""
        self.take_back()
        if self.username:
            LoginFailure.objects.filter(name=_account(self.username)).delete()

    def take_back(self) -> None:
        """Count this attempt no more: it was right, but is not the last step."""
        spent = LoginFailure.objects.filter(name__in=self.names, failures__gt=0)
        spent.update(failures=F("failures") - 1)

    def record_failure(self) -> None:
        self._log("login.failed")
        spent = LoginFailure.objects.filter(
            name__in=self.names, failures__gte=settings.LOGIN_FAILURES
        )
        if locked := sorted(spent.values_list("name", flat=True)):
            self._log("login.lockout", locked=", ".join(locked))
            detail = {"locked": locked, "address": self.address}
            record("login.locked", label=self.username[:MOST_NAME], detail=detail)
        else:
            record("login.failed", kind="auth.user", label=self.username[:MOST_NAME])
        with connection.cursor() as cursor:
            cursor.execute(_PURGE, [MOST_PURGED])

    def _log(self, event: str, **more: int | str) -> None:
        name = self.username[:MOST_NAME]
        log.warning(event, username=name, address=self.address, **more)


def unlock(name: str) -> int:
    """Delete the failed logins of a user name or an address. Returns how many rows."""
    rows = LoginFailure.objects.filter(Q(name=_account(name)) | Q(name=_address(name)))
    return rows.delete()[0]


def _account(username: str) -> str:
    return f"account:{username.casefold()[:MOST_NAME]}"


def _address(address: str) -> str:
    return f"address:{address}"[: MOST_NAME + 8]


def _count(name: str) -> None:
    """Count one more failure. Raises Locked."""
    values: dict[str, str | int] = {
        "name": name,
        "most": settings.LOGIN_FAILURES,
        "seconds": settings.LOGIN_LOCKOUT_S,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)
        if cursor.fetchone():
            return
        cursor.execute(_LEFT, [name])
        row = cursor.fetchone()
    raise Locked(max(1, int(row[0])) if row else 1)
