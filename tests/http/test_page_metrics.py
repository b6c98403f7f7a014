"""Metrics of pages: whatever is asked, and however, they have few labels."""

import pytest
from django.test import Client
from prometheus_client import REGISTRY

from valuecanvas.core.telemetry.database_metrics import scrape

pytestmark = pytest.mark.django_db


def labels(*names: str) -> set[str]:
    """The values of these labels in the metrics of pages."""
    with scrape(database=False):
        return {
            value
            for metric in REGISTRY.collect()
            for one in metric.samples
            for name, value in one.labels.items()
            if name in names and metric.name.startswith("django_http_")
        }


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "AAAA", "AAAB"])
@pytest.mark.parametrize("path", ["/admin/login/", "/nothing/here", "/api/docs"])
def test_page__any_path_and_method__is_one_of_few_labels(
    client: Client, path: str, method: str
) -> None:
    client.generic(method, path)
    assert labels("view", "templatename") <= {"admin", "api", "usage", "other"}
    seen = labels("method")
    assert not {one for one in seen if one.startswith("AAA")}
    assert seen <= {"GET", "POST", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS", "other", "<invalid method>"}  # fmt: skip
