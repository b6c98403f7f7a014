"""Nobody acts in a test of the audit, whatever was imported before it."""

import pytest

from valuecanvas.core.audit import audit_context


@pytest.fixture(autouse=True)
def _no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_context, "_process", None)
