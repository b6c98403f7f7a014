"""Records a stream, to store and share its answer."""

from llm.cache.entry import Entry, Form
from llm.cache.transcript import Transcript
from llm.dialects.base import StreamReader
from llm.replies.stored import usage_of
from llm.settlement.outcome import RequestOutcome, entry_of
from llm.types import AdmittedCall


class Recording:
    """Joins a chat to a whole answer; keeps a Response as received."""

    def __init__(self, held: AdmittedCall, reader: StreamReader) -> None:
        self._reader = reader
        as_it_came = held.place is not None and held.call.endpoint == "responses"
        self._transcript = Transcript() if as_it_came else None

    def add(self, part: bytes) -> None:
        """Add a part that is sent."""
        if self._transcript is not None:
            self._transcript.add(part)

    @property
    def natural(self) -> bool:
        """Whether the answer ended naturally."""
        assembly = self._reader.assembly
        return self._reader.natural and (assembly is None or assembly.natural)

    def entry(self, outcome: RequestOutcome, ending: bytes) -> Entry | None:
        """The answer that ended with `ending`; None if it cannot be kept."""
        if self._transcript is not None:
            body = self._transcript.whole(ending)
            return None if body is None else entry_of(body, outcome)
        assembly = self._reader.assembly
        if assembly is None:
            return None
        body = assembly.whole(usage_of(outcome.tokens))
        if body is None:
            return None
        return entry_of(body, outcome, Form.STREAM if assembly.lossy else Form.ANY)
