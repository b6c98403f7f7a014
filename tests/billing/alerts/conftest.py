"""Receivers with their channels."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.billing.alerts.rows import Receivers, three_receivers


@pytest.fixture
def receivers(db: None, settings: Any) -> Iterator[Receivers]:
    with three_receivers(settings) as made:
        yield made
