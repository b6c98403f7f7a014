"""T19: people who change the same prompt at once. One wins, the others are told."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection

from prompts import config, services
from prompts.models import Label, Prompt
from prompts.rendering.render import PromptLibrary, choose, render
from prompts.services import PromptActor
from tests.collision import faster
from tests.prompts.rows import ANN, events, make_prompt, move, pointed_at
from valuecanvas.core.errors import Conflict

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 100
PEOPLE = [PromptActor("ann"), PromptActor("bob"), PromptActor("cem")]
Act = Callable[[PromptActor], object]


class Crowd:
    """People who all begin at the same moment."""

    def __init__(self, size: int) -> None:
        self._meeting = threading.Barrier(size)
        self._pool = ThreadPoolExecutor(size)

    def together(self, acts: Sequence[Act]) -> list[object]:
        """What each got: an answer, or the refusal."""
        jobs = zip(acts, PEOPLE, strict=False)
        return list(self._pool.map(lambda job: self._one(*job), list(jobs)))

    def _one(self, act: Act, actor: PromptActor) -> object:
        self._meeting.wait()
        try:
            return act(actor)
        except (Conflict, ValidationError) as refusal:
            return refusal

    def close(self) -> None:
        """Each thread closes its own connection."""
        done = threading.Barrier(self._pool._max_workers)

        def leave() -> None:
            connection.close()
            done.wait()

        for _ in range(self._pool._max_workers):
            self._pool.submit(leave)
        self._pool.shutdown()


@contextmanager
def crowd(size: int) -> Iterator[Crowd]:
    found = Crowd(size)
    try:
        yield found
    finally:
        found.close()


def mover(prompt, to: int, expected: int) -> Act:
    def act(actor: PromptActor) -> object:
        services.move_label(
            prompt, "production", to, expected=expected, actor=actor, reason=actor.name
        )
        return to

    return act


def test_move__two_at_once_100_times__exactly_one_wins_and_the_other_is_told():
    prompt = make_prompt("a {{x}}", "b {{x}}", "c {{x}}", production=1)
    with crowd(2) as people:
        for _ in range(ROUNDS):
            now = pointed_at(prompt)
            first, second = (number for number in (1, 2, 3) if number != now)
            before = len(events(prompt))

            got = people.together(
                [mover(prompt, first, now), mover(prompt, second, now)]
            )

            (won,) = [one for one in got if isinstance(one, int)]
            (lost,) = [one for one in got if isinstance(one, Conflict)]
            (event,) = events(prompt)[before:]
            assert pointed_at(prompt) == won == lost.extra["current_version"]
            assert lost.extra["moved_by"] == event.actor_name == event.reason
            assert (event.from_version, event.to_version) == (now, won)
            assert Label.objects.filter(prompt=prompt, name="production").count() == 1


def test_move__two_and_a_rollback_at_once_100_times__the_audit_is_one_chain():
    prompt = make_prompt("a", "b", "c", "d", production=1)

    def back(actor: PromptActor) -> object:
        services.rollback(prompt, actor=actor, reason="Bad")
        return "back"

    with crowd(3) as people:
        for _ in range(ROUNDS):
            now = pointed_at(prompt)
            first, second, *_ = (number for number in (1, 2, 3, 4) if number != now)

            # Both moves may win: the rollback between them brings back what the second
            # one expects to find.
            people.together(
                [mover(prompt, first, now), mover(prompt, second, now), back]
            )
    # Each row begins where the one before it ended, and the last one tells the truth.
    at = None
    for event in events(prompt):
        if event.label == "production":
            assert event.from_version == at
            at = event.to_version
    assert at == pointed_at(prompt)


def test_add__two_at_once_based_on_the_same__one_is_told_of_the_other():
    prompt = make_prompt("start")
    with crowd(2) as people:
        for turn in range(ROUNDS):
            newest = prompt.versions.count()

            def writer(name: str, turn: int = turn, newest: int = newest) -> Act:
                return lambda actor: (
                    services.add_version(
                        prompt, template=f"{name} {turn}", actor=actor, based_on=newest
                    ).number
                )

            got = people.together([writer("this"), writer("that")])

            (won,) = [one for one in got if isinstance(one, int)]
            (lost,) = [one for one in got if isinstance(one, Conflict)]
            assert won == newest + 1
            assert lost.extra["newest"] == won


def test_add__two_at_once_based_on_nothing__are_numbered_without_a_gap():
    prompt = make_prompt()
    with crowd(2) as people:
        for turn in range(20):
            people.together(
                [
                    lambda actor, turn=turn: services.add_version(
                        prompt, template=f"{actor.name} {turn}", actor=actor
                    )
                ]
                * 2
            )

    numbers = prompt.versions.order_by("number").values_list("number", flat=True)
    assert list(numbers) == list(range(1, 41))


def test_circle__closed_by_two_at_once__is_closed_by_neither():
    """Both moves are fine by themselves; together they would include one another."""
    with crowd(2) as people:
        for turn in range(20):
            a = make_prompt("x", key=f"a{turn}", production=1)
            b = make_prompt("x", key=f"b{turn}", production=1)
            services.add_version(a, template=f"{{{{> {b.key}}}}}", actor=ANN)
            services.add_version(b, template=f"{{{{> {a.key}}}}}", actor=ANN)

            got = people.together([mover(a, 2, 1), mover(b, 2, 1)])

            assert sum(isinstance(one, ValidationError) for one in got) == 1
            shelf = PromptLibrary(config.prompts_by_key(config.load_prompts()))
            for key in (a.key, b.key):
                found = choose(shelf, key, subject="s", context={})
                assert render(shelf, found, {}).text == "x"


def test_rollout__finished_and_rolled_back_at_once__ends_one_way():
    for _ in range(20):
        prompt = make_prompt("1", "2", production=1)
        rollout = services.start_rollout(prompt, 2, share=100, actor=ANN)
        with crowd(2) as people:
            got = people.together(
                [
                    lambda actor, r=rollout: services.finish(r, actor=actor),
                    lambda actor, r=rollout: services.roll_back_rollout(
                        r, actor=actor, reason="x"
                    ),
                ]
            )
        assert sum(isinstance(one, Conflict) for one in got) == 1
        rollout.refresh_from_db()
        moved = rollout.state == "finished"
        assert pointed_at(prompt) == (2 if moved else 1)


def test_rollout__started_twice_at_once__is_one():
    prompt = make_prompt("1", "2", production=1)
    with crowd(2) as people:
        got = people.together(
            [
                lambda actor: services.start_rollout(prompt, 2, share=9, actor=actor),
                lambda actor: services.start_rollout(prompt, 2, share=9, actor=actor),
            ]
        )
    assert sum(isinstance(one, Conflict) for one in got) == 1


def test_readers__while_labels_move__never_see_a_mix():
    """The words and the variables of one version, whatever happens meanwhile."""
    prompt = make_prompt("odd {{a}}", "even {{b}}", key="p", production=1)
    stop = threading.Event()
    seen: list[str] = []

    def read() -> None:
        try:
            while not stop.is_set():
                shelf = PromptLibrary(config.prompts_by_key(config.load_prompts()))
                found = choose(shelf, "p", subject="s", context={})
                (name,) = (one.name for one in found.version.words.declared)
                seen.append(render(shelf, found, {name: name}).text or "")
        finally:
            connection.close()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for turn in range(ROUNDS):
            move(prompt, 1 + (turn + 1) % 2)
    finally:
        stop.set()
        reader.join()
    assert seen
    assert set(seen) <= {"odd a", "even b"}


def test_import__somebody_makes_the_same_prompt_at_once__is_refused_whole(tmp_path):
    for key in ("one", "two"):
        (tmp_path / key).mkdir()
        (tmp_path / key / "prompt.yaml").write_text(f"key: {key}\n")

    with (
        faster(lambda: services.create_prompt(key="two", actor=ANN)),
        pytest.raises(CommandError, match="Run it again"),
    ):
        call_command("import_prompts", str(tmp_path))

    assert [row.key for row in Prompt.objects.all()] == ["two"]
