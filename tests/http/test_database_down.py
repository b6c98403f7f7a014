"""What the cold path answers while the database is away."""

import orjson
import pytest
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from valuecanvas.http.database_down import DatabaseDown

AWAY = [OperationalError("gone: secret-host"), InterfaceError("closed")]


def answer(path: str, error: Exception) -> HttpResponse | None:
    def serve(_: HttpRequest) -> HttpResponse:
        return HttpResponse("well")

    return DatabaseDown(serve).process_exception(RequestFactory().get(path), error)


@pytest.mark.parametrize("error", AWAY, ids=str)
def test_page__database_away__is_a_503_that_says_so(error: Exception) -> None:
    found = answer("/admin/", error)
    assert found is not None
    assert (found.status_code, found["Retry-After"]) == (503, "1")
    assert b"database does not answer" in found.content
    assert b"secret-host" not in found.content


@pytest.mark.parametrize("error", AWAY, ids=str)
def test_management_call__database_away__is_a_503_in_json(error: Exception) -> None:
    found = answer("/api/prompts/", error)
    assert found is not None
    assert (found.status_code, found["Retry-After"]) == (503, "1")
    body = orjson.loads(found.content)["error"]
    assert body["type"] == "service_unavailable_error"


def test_page__other_database_error__is_left_to_django() -> None:
    assert answer("/admin/", IntegrityError("twice")) is None
