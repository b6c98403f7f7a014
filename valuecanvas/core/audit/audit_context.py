"""Who acts at present, as the audit's triggers are told by the database's connection."""

import getpass
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

import orjson

# A setting of the database's session, which the audit's triggers read.
SETTING = "valuecanvas.audit"
_current: ContextVar["AuditContext | None"] = ContextVar("audit", default=None)
# Of a whole process: its threads have no context of their own.
_process: "AuditContext | None" = None


class ActorKind(StrEnum):
    PERSON = "person"
    KEY = "key"
    COMMAND = "command"
    TASK = "task"
    SYSTEM = "system"


@dataclass(slots=True)
class AuditContext:
    """Who acts, from where, in which request, and why."""

    actor: str
    kind: str
    address: str = ""
    request_id: str = ""
    reason: str = ""

    def dump(self) -> str:
        """As the setting of the database's session."""
        return orjson.dumps(self._values()).decode()

    def _values(self) -> dict[str, str]:
        return {
            "actor": self.actor,
            "kind": self.kind,
            "address": self.address,
            "request_id": self.request_id,
            "reason": self.reason,
        }


def current() -> AuditContext | None:
    """The context of the present request, task or command; None: nobody is known."""
    return _current.get() or _process


def dump() -> str:
    """The setting of the database's session; '' if nobody is known."""
    found = current()
    return found.dump() if found else ""


@contextmanager
def use_context(context: AuditContext) -> Iterator[AuditContext]:
    """`context` is the present one within the block."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


@contextmanager
def use_actor(
    actor: str, kind: str, address: str = "", reason: str = ""
) -> Iterator[AuditContext]:
    """Whatever the block changes is done by `actor`, of an ActorKind."""
    outer = _current.get()
    request_id = outer.request_id if outer else ""
    with use_context(AuditContext(actor, kind, address, request_id, reason)) as found:
        yield found


def explain(reason: str) -> None:
    """Give the reason for what follows in the present request, task or command."""
    if found := current():
        found.reason = reason


def name_process(actor: str, kind: str) -> None:
    """Name who acts in this process wherever nobody else does."""
    global _process
    _process = AuditContext(actor, kind, f"{account_name()}@{socket.gethostname()}")


def account_name() -> str:
    """The account of the machine that this process runs as."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "somebody"
