"""Who may use the REST endpoints: keys by scope, people by right, nobody else."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.views import APIView

from billing.models import Customer
from tests.fixtures_billing import make_api_key
from tests.prompts.api.conftest import key_client, person
from tests.prompts.api.rows import make_prompt
from valuecanvas.core.api.access import Access, KeyUser, Need

pytestmark = pytest.mark.django_db
PROMPTS = "/api/prompts"


def error(response):
    body = response.json()["error"]
    assert {"message", "type", "param", "code", "request_id"} <= set(body)
    assert response["x-request-id"] == body["request_id"]
    return body


def test_key__without_any__is_401_that_says_how():
    response = APIClient().get(PROMPTS)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert error(response)["code"] == "missing_api_key"
    assert error(response)["type"] == "authentication_error"


@pytest.mark.parametrize(
    "sent",
    ["Basic abc", "Bearer ", "Bearer sk-123", "Bearer vc-é", "Bearer a.b.c"]
    + [f"Bearer vc-{'a' * 12}-{'b' * 43}"],
)
def test_key__not_one_of_ours__is_401(sent):
    response = APIClient(HTTP_AUTHORIZATION=sent.encode("latin-1").decode("latin-1")).get(PROMPTS)  # fmt: skip
    assert response.status_code == 401
    assert error(response)["type"] == "authentication_error"


def test_key__right_prefix_wrong_secret__is_401():
    key, _ = make_api_key(scopes=["prompts:read"])
    forged = f"Bearer vc-{key.prefix}-{'x' * 43}"
    response = APIClient(HTTP_AUTHORIZATION=forged).get(PROMPTS)
    assert response.status_code == 401
    assert error(response)["code"] == "invalid_api_key"


def test_key__revoked__is_401_at_once():
    client = key_client("prompts:read")
    assert client.get(PROMPTS).status_code == 200
    client.key.__class__.objects.update(revoked_at=timezone.now())
    response = client.get(PROMPTS)
    assert response.status_code == 401
    assert error(response)["code"] == "api_key_revoked"


def test_key__expired__is_401():
    key, text = make_api_key(
        scopes=["prompts:read"], expires_at=timezone.now() - timedelta(seconds=1)
    )
    response = APIClient(HTTP_AUTHORIZATION=f"Bearer {text}").get(PROMPTS)
    assert response.status_code == 401
    assert error(response)["code"] == "api_key_expired"


def test_key__customer_suspended__is_403():
    client = key_client("prompts:read")
    Customer.objects.update(suspended=True)
    response = client.get(PROMPTS)
    assert response.status_code == 403
    assert error(response)["code"] == "customer_suspended"


def test_key__without_the_scope__is_403_that_names_it():
    response = key_client("llm", "prompts:write").get(PROMPTS)
    assert response.status_code == 403
    assert error(response)["code"] == "missing_scope"
    assert "prompts:read" in error(response)["message"]


def test_key__beside_the_session_of_a_superuser__is_what_counts():
    client = person(is_superuser=True)
    _, text = make_api_key(scopes=["llm"])
    response = client.get(PROMPTS, HTTP_AUTHORIZATION=f"Bearer {text}")
    assert response.status_code == 403


def test_person__with_the_right__may():
    assert person("prompts.view_prompt").get(PROMPTS).status_code == 200


def test_person__without_the_right__may_not():
    response = person("prompts.add_prompt").get(PROMPTS)
    assert response.status_code == 403
    assert "prompts.view_prompt" in error(response)["message"]


def test_person__who_may_not_enter_the_admin__may_not():
    client = person("prompts.view_prompt")
    client.user.is_staff = False
    client.user.save()
    assert client.get(PROMPTS).status_code == 403


def test_person__without_a_csrf_token__is_403():
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(person(is_superuser=True).user)
    response = client.post(PROMPTS, {"key": "a"}, format="json")
    assert response.status_code == 403
    assert "CSRF" in error(response)["message"]


def test_method__that_a_view_lacks__is_405_for_callers_only(reader):
    assert APIClient().put(PROMPTS, {}, format="json").status_code == 401
    response = reader.put(PROMPTS, {}, format="json")
    assert response.status_code == 405
    assert error(response)["code"] == "method_not_allowed"
    assert reader.options(PROMPTS).status_code == 204


def test_method__that_a_view_forgot_to_guard__is_refused(reader):
    class Forgetful(APIView):
        permission_classes = [Access]

        def get(self, request):
            raise AssertionError("unguarded")

    request = APIRequestFactory().get(
        "/", HTTP_AUTHORIZATION=reader._credentials.get("HTTP_AUTHORIZATION", "")
    )
    request.META["HTTP_AUTHORIZATION"] = reader.defaults["HTTP_AUTHORIZATION"]
    assert Forgetful.as_view()(request).status_code == 403


def test_head__where_get_is_allowed__is_allowed(reader):
    class Readable(APIView):
        permission_classes = [Access]
        needs = {"GET": Need("prompts:read", "prompts.view_prompt")}

        def get(self, request):
            return Response({})

        head = get

    request = APIRequestFactory().head("/")
    request.META["HTTP_AUTHORIZATION"] = reader.defaults["HTTP_AUTHORIZATION"]
    assert Readable.as_view()(request).status_code == 200


def test_key_user__asked_for_rights__has_none():
    user = KeyUser("abc", frozenset({"prompts:read"}))
    assert str(user) == "key vc-abc-…"
    assert not user.has_perm("prompts.view_prompt")
    assert not user.has_perms(["prompts.view_prompt"])
    assert not user.has_module_perms("prompts")
    assert not user.is_staff


@pytest.mark.parametrize(
    "path",
    [
        "/%00",
        "/%00/rollout",
        "/a/versions/%00",
        "/a/labels/%00",
        "/a/diff?from=%00&to=1",
        "?folder=%00",
    ],
)
def test_nul__in_a_path_or_query__is_400(reader, path):
    make_prompt("words", key="a")
    response = reader.get(f"{PROMPTS}{path}")
    assert response.status_code == 400, response.content


@pytest.mark.parametrize("method", ["get", "post"])
def test_path__under_api_that_nothing_serves__is_404_as_json(method):
    response = getattr(APIClient(enforce_csrf_checks=True), method)("/api/prompt/a/b")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "unknown_path"
