"""T19 through the admin: two who are signed in decide on the same prompt at once."""

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from prompts.models import Label, Prompt, PromptEvent
from tests.admin.prompt_rows import live_number, make_prompt, publish
from tests.faults.counts import either

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = either(4, 100)
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')


@dataclass
class Person:
    """A browser of somebody who is signed in."""

    name: str
    address: str
    cookies: dict[str, str]

    @classmethod
    def signed_in(cls, name: str, url: str) -> "Person":
        client = Client()
        client.force_login(User.objects.create_superuser(name, password="pw"))
        cookies = {one.key: one.value for one in client.cookies.values()}
        return cls(name, urlsplit(url).netloc, cookies)

    def ask(
        self, path: str, form: dict[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Status, Location and page."""
        connection = HTTPConnection(self.address, timeout=60)
        try:
            headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
            if form is not None:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form) if form is not None else None
            connection.request("POST" if body else "GET", path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            for line in answer.headers.get_all("Set-Cookie", []):
                name, _, value = line.partition(";")[0].partition("=")
                self.cookies[name] = value
            return answer.status, answer.headers.get("Location", ""), text
        finally:
            connection.close()

    def look(self, path: str) -> Callable[[], tuple[int, str, str]]:
        """Open the page, and give what its button does."""
        status, _, text = self.ask(path)
        assert status == 200
        hidden = dict(HIDDEN.findall(text))
        assert hidden["expected"], "The page does not say what was seen."
        form = {**hidden, "reason": f"because of {self.name}"}
        return lambda: self.ask(path, form)


@pytest.fixture
def people(live_server: Any) -> list[Person]:
    return [Person.signed_in(name, live_server.url) for name in ("anna", "bob")]


@pytest.fixture
def together() -> Iterator[Callable[..., list[tuple[int, str, str]]]]:
    """Do both at the same moment."""
    barrier = threading.Barrier(2)

    def one(act: Callable[[], tuple[int, str, str]]) -> tuple[int, str, str]:
        barrier.wait()
        return act()

    with ThreadPoolExecutor(2) as pool:
        yield lambda *acts: list(pool.map(one, acts))


def judge(
    prompt: Prompt,
    people: list[Person],
    answers: list[tuple[int, str, str]],
    goals: list[int],
    seen: int,
) -> None:
    """One is done and written down; the other is told by whom, what and why."""
    assert sorted(status for status, _, _ in answers) == [302, 409]
    won = [status for status, _, _ in answers].index(302)
    winner, loser = people[won], people[1 - won]
    labels = Label.objects.filter(prompt=prompt, name="production")
    assert labels.count() == 1
    assert live_number(prompt) == goals[won]
    told = answers[1 - won][2]
    assert f"{winner.name} changed it first" in told
    assert f"from version {seen} to version {goals[won]}" in told
    assert f"because of {winner.name}" in told
    assert "Your change was not made" in told
    [event] = PromptEvent.objects.filter(prompt=prompt, reason__startswith="because of")
    assert event.actor_name == winner.name
    assert (event.from_version, event.to_version) == (seen, goals[won])
    assert event.reason == f"because of {winner.name}"
    entries = LogEntry.objects.filter(object_id=str(prompt.pk))
    assert [entry.user.username for entry in entries] == [winner.name]
    assert loser.name != winner.name


def test_publish__two_sessions_at_once__one_wins_and_the_other_is_told(
    people: list[Person], together: Callable[..., Any]
) -> None:
    for _ in range(ROUNDS):
        prompt = make_prompt(versions=3, live=1)
        page = f"/admin/prompts/prompt/{prompt.pk}/move/?label=production&version="
        goals = [2, 3]
        clicks = [
            person.look(f"{page}{goal}")
            for person, goal in zip(people, goals, strict=True)
        ]
        judge(prompt, people, together(*clicks), goals, seen=1)


def test_publish_and_roll_back__two_sessions_at_once__one_wins_and_the_other_is_told(
    people: list[Person], together: Callable[..., Any]
) -> None:
    for _ in range(ROUNDS):
        prompt = make_prompt(versions=3, live=1)
        publish(prompt, 2)
        page = f"/admin/prompts/prompt/{prompt.pk}"
        clicks = [
            people[0].look(f"{page}/move/?label=production&version=3"),
            people[1].look(f"{page}/rollback/"),
        ]
        judge(prompt, people, together(*clicks), [3, 1], seen=2)


def test_loser__decides_again_on_what_is_now__is_done(
    people: list[Person], together: Callable[..., Any]
) -> None:
    prompt = make_prompt(versions=3, live=1)
    page = f"/admin/prompts/prompt/{prompt.pk}/move/?label=production&version="
    clicks = [people[0].look(f"{page}2"), people[1].look(f"{page}3")]
    answers = together(*clicks)
    lost = [status for status, _, _ in answers].index(409)
    hidden = dict(HIDDEN.findall(answers[lost][2]))
    again = {**hidden, "reason": "still, I want mine"}
    status, where, _ = people[lost].ask(f"{page}{[2, 3][lost]}", again)
    assert (status, where) == (302, f"/admin/prompts/prompt/{prompt.pk}/change/")
    assert live_number(prompt) == [2, 3][lost]
