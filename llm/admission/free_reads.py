"""For answers that cost nothing: what they are read from, and who asks."""

from billing.auth.principal import Principal
from llm.admission.authentication import Authentication
from llm.configuration.committed import CommittedConfig
from llm.configuration.disk_writer import DiskWriter
from llm.configuration.last_known import LastKnown
from llm.configuration.live import LiveConfig
from llm.configuration.snapshot import Snapshot
from llm.types import Call
from valuecanvas.core.errors import Unavailable

Readable = Snapshot | LastKnown


class FreeReads:
    """Serves flags and prompts, also in a process that never reached the database.

    That one answers from what the last ones left on disk, until it is loaded.
    """

    def __init__(
        self,
        *,
        authentication: Authentication,
        config: LiveConfig,
        committed: CommittedConfig,
        keeper: DiskWriter,
    ) -> None:
        self._authentication = authentication
        self._config = config
        self._committed = committed
        self._keeper = keeper

    async def open(self, call: Call) -> tuple[Readable, Principal]:
        """The configuration as it is committed now, or else the last one known; and the
        caller, proven by the same. Raises GatewayError.
        """
        # The configuration first: see billing/auth/callers.py.
        found = await self._readable()
        if isinstance(found, LastKnown):
            return found, found.keys.caller(
                call.authorization, call.on_behalf, call.user
            )
        principal = await self._authentication.identify(call)
        self._keeper.note(principal)
        return found, principal

    async def _readable(self) -> Readable:
        known = self._config.last_known
        if known is None:
            return await self._committed.latest()
        if self._committed.database_is_down():
            return known
        try:
            return await self._committed.latest()
        except Unavailable:
            return known
