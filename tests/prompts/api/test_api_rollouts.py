"""Gradual rollouts over REST: one verb, one request."""

import pytest

from tests.prompts.api.rows import make_prompt

pytestmark = pytest.mark.django_db
PROMPT = "/api/prompts/a"


def post(client, path, **body):
    return client.post(f"{PROMPT}/{path}", body, format="json")


@pytest.fixture
def live(publisher):
    """A prompt with version 2 at 5 %."""
    make_prompt("x", "y", key="a", live=1)
    steps = [{"share": 5000, "after_minutes": 60}]
    response = post(publisher, "rollouts", version=2, share=500, steps=steps, reason="Try")  # fmt: skip
    assert response.status_code == 201, response.content
    return response.json()


def test_start__of_a_version__is_seen_on_the_prompt(live, reader):
    assert (live["version"], live["share"], live["state"]) == (2, 500, "running")
    assert live["next_at"] is not None
    assert reader.get(PROMPT).json()["rollout"] == live
    assert reader.get(f"{PROMPT}/rollout").json() == live
    assert reader.get(f"{PROMPT}/rollouts").json()["data"] == [live]


def test_start__of_a_second__is_409(live, publisher):
    assert post(publisher, "rollouts", version=2, share=500).status_code == 409


def test_start__by_a_writer__is_403(writer):
    make_prompt("x", "y", key="a", live=1)
    assert post(writer, "rollouts", version=2, share=500).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"version": 2, "share": 0},
        {"version": 2, "share": 10_001},
        {"version": 2},
        {"version": 1, "share": 500},
        {"version": 2, "share": 500, "steps": [{"share": 100, "after_minutes": 5}]},
        {"version": 2, "share": 500, "steps": [{"share": 900}]},
    ],
)
def test_start__what_makes_no_sense__is_400(publisher, body):
    make_prompt("x", "y", key="a", live=1)
    assert post(publisher, "rollouts", **body).status_code == 400


def test_share__raised__is_the_new_one(live, publisher):
    response = post(publisher, "rollout/share", share=2500, expected_share=500)
    assert response.json()["share"] == 2500
    again = post(publisher, "rollout/share", share=9000, expected_share=500)
    assert again.status_code == 409
    assert again.json()["error"]["current_share"] == 2500


def test_share__of_all__finishes_it(live, publisher):
    assert post(publisher, "rollout/share", share=10_000).json()["state"] == "finished"
    assert publisher.get(PROMPT).json()["production"] == 2
    assert publisher.get(f"{PROMPT}/rollout").status_code == 404


def test_pause__and_resume__hold_and_go_on(live, publisher):
    paused = post(publisher, "rollout/pause", reason="Wait")
    assert (paused.json()["state"], paused.json()["next_at"]) == ("paused", None)
    assert post(publisher, "rollout/pause").status_code == 409
    assert post(publisher, "rollout/resume").json()["state"] == "running"


def test_finish__of_one__moves_production(live, publisher):
    assert (
        post(publisher, "rollout/finish", reason="Good").json()["state"] == "finished"
    )
    assert publisher.get(PROMPT).json()["production"] == 2


def test_rollback__of_one__leaves_production(live, publisher):
    ended = post(publisher, "rollout/rollback", reason="Bad").json()
    assert (ended["state"], ended["reason"]) == ("rolled_back", "Bad")
    assert publisher.get(PROMPT).json()["production"] == 1
    assert post(publisher, "rollout/rollback", reason="Bad").status_code == 404
