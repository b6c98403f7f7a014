"""Opens free reads of flags and prompts: the configuration, and the caller."""

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

    Such a process answers from the files of earlier ones, until it is loaded.
    """

    def __init__(
        self,
        *,
        authentication: Authentication,
        config: LiveConfig,
        committed: CommittedConfig,
        disk_writer: DiskWriter,
    ) -> None:
        self._authentication = authentication
        self._config = config
        self._committed = committed
        self._disk_writer = disk_writer

    async def open(self, call: Call) -> tuple[Readable, Principal]:
        """The committed configuration, or else the last known one; and the caller,
        authenticated by it. Raises GatewayError.
        """
        # The configuration first: see billing/auth/callers.py.
        found = await self._configuration()
        if isinstance(found, LastKnown):
            return found, found.keys.authenticate(
                call.authorization, call.on_behalf, call.user
            )
        principal = await self._authentication.identify(call)
        self._disk_writer.note(principal)
        return found, principal

    async def _configuration(self) -> Readable:
        known = self._config.last_known
        if known is None:
            return await self._committed.latest()
        if self._committed.database_is_down():
            return known
        try:
            return await self._committed.latest()
        except Unavailable:
            return known
