"""T19 over HTTP: two clients move one label at once; one wins, the other hears who."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import orjson
import pytest

from prompts import services
from prompts.models import Prompt, PromptEvent
from tests.live.world import Answer, World, unique

pytestmark = pytest.mark.live
ADA = services.PromptActor("ada", is_superuser=True)
ROUNDS = 20


def make_prompt() -> Prompt:
    prompt = services.create_prompt(key=unique("race"), actor=ADA)
    for number in range(3):
        services.add_version(prompt, template=f"Words {number}.", actor=ADA)
    services.move_label(prompt, "production", 1, expected=None, actor=ADA)
    return prompt


def test_move__by_two_at_once__one_wins_and_the_audit_is_whole(world: World) -> None:
    prompt = world.db(make_prompt)
    keys = [world.new_key(scopes=["prompts:read", "prompts:publish"]) for _ in range(2)]
    barrier = Barrier(2)

    def move(key: str, at: int, to: int) -> Answer:
        body = {"version": to, "expected_version": at, "reason": key[3:15]}
        barrier.wait(30)
        return world.request(
            f"/api/prompts/{prompt.key}/labels/production",
            orjson.dumps(body),
            method="PUT",
            key=key,
        )

    at = 1
    with ThreadPoolExecutor(2) as pool:
        for _ in range(ROUNDS):
            others = [number for number in (1, 2, 3) if number != at]
            answers = list(pool.map(move, keys, [at, at], others))
            assert sorted(one.status for one in answers) == [200, 409]
            won, lost = sorted(answers, key=lambda one: one.status)
            winner = keys[answers.index(won)]
            assert lost.error["current_version"] == won.json["version"]
            assert winner[3:15] in lost.error["moved_by"]
            at = won.json["version"]
            seen = world.request(f"/api/prompts/{prompt.key}/fetch", key=keys[0])
            assert seen.json["version"] == at
    moves = PromptEvent.objects.filter(prompt=prompt, action="moved").order_by("id")
    path = world.db(lambda: list(moves.values_list("from_version", "to_version")))
    assert len(path) == 1 + ROUNDS
    assert all(a[1] == b[0] for a, b in zip(path, path[1:], strict=False))
