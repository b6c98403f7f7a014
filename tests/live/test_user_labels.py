"""The field 'user' labels a request; who is billed instead is said elsewhere."""

import orjson
import pytest

from billing.models import Customer
from tests.live.world import Answer, World, unique

pytestmark = pytest.mark.live

PATHS = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Go."}]},
    "/v1/responses": {"input": "Go."},
    "/v1/embeddings": {"input": "Go."},
}


def ask(world: World, path: str, key: str, header: str = "", **fields: str) -> Answer:
    kind = "embedding" if path == "/v1/embeddings" else "chat"
    body = {"model": world.serve("ok", kind=kind).model, **PATHS[path], **fields}
    sent = {"x_valuecanvas_user": header} if header else {}
    return world.request(path, orjson.dumps(body), key=key, **sent)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scopes", [["llm"], ["llm", "act_as"]])
def test_user__in_the_body__is_a_label_and_bills_the_key(
    world: World, path: str, scopes: list[str]
) -> None:
    user = unique("person")
    answer = ask(world, path, world.new_key(scopes=scopes), user=user)
    assert answer.status == 200, answer.body
    row = world.usage(answer.headers["x-request-id"])
    assert (row.user_id, row.end_user) == (world.customer.user_id, user)
    assert answer.headers["x-ratelimit-limit-requests"] == "1000"
    assert not world.db(Customer.objects.filter(user_id=user).exists)


@pytest.mark.parametrize("path", PATHS)
def test_header__of_a_key_with_act_as__bills_the_named_user(
    world: World, path: str
) -> None:
    world.free_tier()
    user, key = unique("Zoë"), world.new_key(scopes=["llm", "act_as", "act_as_jwt"])
    sent = user.encode().decode("latin-1")
    answer = ask(world, path, key, header=sent, user="a-label")
    row = world.usage(answer.headers["x-request-id"])
    assert (row.user_id, row.end_user) == (user, "a-label")


def test_user__by_a_key_whose_issuer_left__is_refused_and_nobody_is_billed(
    world: World,
) -> None:
    key = world.new_key(
        scopes=["llm", "act_as", "bill_user"], issuer="somebody-who-left"
    )
    answer = ask(world, "/v1/chat/completions", key, user="ann")
    assert (answer.status, answer.error["code"]) == (403, "scope_frozen")


def test_user__by_a_key_that_bills_it__is_the_user_to_bill(world: World) -> None:
    world.free_tier()
    user, key = (
        unique("user"),
        world.new_key(scopes=["llm", "act_as", "act_as_jwt", "bill_user"]),
    )
    answer = ask(world, "/v1/chat/completions", key, user=user)
    row = world.usage(answer.headers["x-request-id"])
    assert (row.user_id, row.end_user) == (user, user)
    other = unique("other")
    answer = ask(world, "/v1/chat/completions", key, header=other, user=user)
    row = world.usage(answer.headers["x-request-id"])
    assert (row.user_id, row.end_user) == (other, user)


def test_header__of_a_key_that_may_not__is_403(world: World) -> None:
    answer = ask(world, "/v1/chat/completions", world.key, header="somebody-else")
    assert (answer.status, answer.error["param"]) == (403, "x-valuecanvas-user")
    assert "act_as" in answer.error["message"]
    assert world.counter() == (0, 0, 0)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("x" * 500, "x" * 200), ("a\x00b\nc\u2028d", "abcd"), ("\t", "")],
)
def test_user__that_no_row_can_keep__is_kept_as_far_as_it_can(
    world: World, sent: str, kept: str
) -> None:
    answer = ask(world, "/v1/chat/completions", world.key, user=sent)
    assert world.usage(answer.headers["x-request-id"]).end_user == kept


def test_user__safety_identifier__is_the_label_where_there_is_no_user(
    world: World,
) -> None:
    answer = ask(world, "/v1/chat/completions", world.key, safety_identifier="h4sh")
    assert world.usage(answer.headers["x-request-id"]).end_user == "h4sh"


def test_complete__user_id_and_header__must_agree(world: World) -> None:
    key = world.new_key(scopes=["llm", "act_as", "act_as_jwt"])
    body = {"prompt": "Go.", "model": world.serve("ok").model, "userId": "a"}
    sent = {"x_valuecanvas_user": "b"}
    answer = world.request("/api/llm/complete", orjson.dumps(body), key=key, **sent)
    assert (answer.status, answer.error["param"]) == (400, "userId")
