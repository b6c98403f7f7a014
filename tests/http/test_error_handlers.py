"""Requests that reach no view: programs read JSON, people a page."""

import pytest
from django.core.exceptions import SuspiciousOperation
from django.test import Client, RequestFactory
from pytest_django import Settings

from valuecanvas.http import error_handlers


@pytest.mark.parametrize("path", ["/api/prompts", "//v1/chat/completions", "//api/x"])
def test_host__unknown_on_an_api_path__is_the_openai_error_body(path: str) -> None:
    # Given apart: the client of the tests takes "//v1" for a host.
    answer = Client().post("/", PATH_INFO=path, HTTP_HOST="evil.example")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("unknown_host", "Host")
    assert error["type"] == "invalid_request_error"
    assert "evil" not in error["message"]


def test_host__unknown_on_a_page__is_no_json() -> None:
    answer = Client().get("/admin/", HTTP_HOST="evil.example")
    assert answer.status_code == 400
    assert answer["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("path", ["//v1/chat/completions", "//api/llm/complete"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_path__two_slashes_past_the_asgi_door__is_404_and_names_it(
    path: str, method: str
) -> None:
    answer = getattr(Client(), method)("/", PATH_INFO=path)
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["code"] == "unknown_path"
    assert path in error["message"]


def test_path__of_no_page__is_a_page(settings: Settings) -> None:
    answer = Client().get("/nothing-here")
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")


def test_suspicious__anything_else_on_an_api_path__is_json_without_its_text() -> None:
    request = RequestFactory().get("/v1")
    answer = error_handlers.bad_request(request, SuspiciousOperation("a secret"))
    assert answer.status_code == 400
    assert b"invalid_request" in answer.content  # type: ignore[attr-defined]
    assert b"secret" not in answer.content  # type: ignore[attr-defined]
