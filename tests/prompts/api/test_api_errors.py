"""Whatever goes wrong on the cold path is told in the one error body."""

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DataError, OperationalError
from django.http import Http404
from rest_framework import exceptions as drf

from valuecanvas.core.api import errors
from valuecanvas.core.errors import Conflict


def told(error):
    response = errors.handle(error, {})
    return response, response.data["error"]


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (Conflict("Ada was first."), 409, "conflict_error"),
        (drf.ParseError("bad"), 400, "invalid_request_error"),
        (drf.NotAuthenticated(), 401, "authentication_error"),
        (drf.PermissionDenied("no"), 403, "permission_error"),
        (drf.NotFound(), 404, "invalid_request_error"),
        (drf.MethodNotAllowed("PUT"), 405, "invalid_request_error"),
        (drf.NotAcceptable(), 406, "invalid_request_error"),
        (drf.UnsupportedMediaType("text/csv"), 415, "invalid_request_error"),
        (drf.Throttled(wait=3), 429, "rate_limit_error"),
        (drf.APIException("odd"), 500, "api_error"),
        (DataError("NUL"), 400, "invalid_request_error"),
        (Http404(), 404, "invalid_request_error"),
        (PermissionDenied(), 403, "permission_error"),
        (OperationalError("connection refused at 10.0.0.1"), 503, "service_unavailable_error"),
        (ZeroDivisionError("secret"), 500, "api_error"),
    ],
)  # fmt: skip
def test_error__of_any_kind__has_its_status_and_type(error, status, kind):
    response, body = told(error)
    assert (response.status_code, body["type"]) == (status, kind)
    assert "secret" not in body["message"]
    assert "10.0.0.1" not in body["message"]


def test_error__throttled__says_when_to_come_back():
    response, _ = told(drf.Throttled(wait=3))
    assert response["Retry-After"] == "3"


def test_error__of_one_after_another__do_not_share_a_status():
    told(drf.NotAcceptable())
    response, body = told(drf.APIException("odd"))
    assert (response.status_code, body["type"]) == (500, "api_error")


def test_validation__of_a_body__names_every_field_by_its_path():
    _, body = told(
        drf.ValidationError(
            {
                "variables": [{}, {"name": ["This field is required."]}],
                "tags": {"3": ["Too long."]},
                "non_field_errors": ["Odd."],
            }
        )
    )
    assert body["param"] == "variables.1.name"
    assert body["message"] == "'variables.1.name': This field is required."
    assert [fault["param"] for fault in body["faults"]] == [
        "variables.1.name",
        "tags.3",
        "",
    ]


def test_validation__of_a_model__names_its_fields():
    _, body = told(ValidationError({"key": ["There is one already."]}))
    assert body["param"] == "key"
    assert body["faults"] == [{"param": "key", "message": "There is one already."}]


def test_validation__without_a_field__is_told_as_it_is():
    _, body = told(ValidationError(["Not now.", "Not here."]))
    assert (body["message"], body["param"]) == ("Not now.", None)
    assert len(body["faults"]) == 2
