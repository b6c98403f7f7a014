"""The trace of a request, as a link from its page."""

import uuid

from django.conf import settings
from django.utils.html import format_html

from valuecanvas.core.telemetry import traces


def trace_link(
    trace_id: str, request_id: uuid.UUID, *, failed: bool, waited_ms: int = 0
) -> str:
    """The trace's id, as a link if there is a page of it and the trace was kept.

    `waited_ms` is the time to the answer's begin.
    """
    url = traces.trace_url(trace_id)
    if not url:
        return trace_id or "none"
    if not _is_kept(trace_id, request_id, failed, waited_ms):
        return f"{trace_id} (not kept: TRACE_SAMPLE_RATIO)"
    return format_html(
        '<a class="vc-link" href="{}" target="_blank" rel="noopener">{}</a>',
        url,
        trace_id,
    )


def _is_kept(
    trace_id: str, request_id: uuid.UUID, failed: bool, waited_ms: int
) -> bool:
    """Whether the trace was exported, by the settings of now.

    Of a trace that a client began its own flag decided, which is not known any more.
    """
    own = trace_id == request_id.hex
    slow = waited_ms >= settings.TRACE_SLOW_S * 1000
    return not own or failed or slow or traces.is_sampled(request_id.int)
