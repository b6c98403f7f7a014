"""Step 1 of a request: who calls, and who is billed."""

from django.db import Error as DatabaseError

from billing.auth.act_as import user_to_bill
from billing.auth.callers import Callers
from billing.auth.principal import Principal
from llm.types import Call
from valuecanvas.core.errors import LedgerUnavailable


class Authentication:
    """Finds callers by their keys. One per process."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    async def identify(self, call: Call) -> Principal:
        """The caller, or the user it acts for. Raises GatewayError."""
        try:
            return await self._caller(call)
        except DatabaseError as error:
            raise LedgerUnavailable from error

    async def _caller(self, call: Call) -> Principal:
        if call.identify is not None:
            return await call.identify(self._callers)
        principal = await self._callers.authenticate(call.authorization)
        # A frozen scope is refused by `act_for`: else the key's own customer paid.
        scopes = principal.scopes | principal.frozen_scopes
        billed = user_to_bill(scopes, call.on_behalf, call.user)
        if billed is None:
            return principal
        return await self._callers.act_for(principal, billed, param=call.named_in)
