"""Degraded modes: what fails how, as docs/OPERATIONS.md declares it."""

import pytest

pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in ("answers", "callers", "control", "services")
    )
)
