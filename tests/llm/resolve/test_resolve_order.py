"""The order in which routes are tried."""

from collections import Counter

from llm.configuration.model_facts import RouteFacts
from llm.resolve.plan import _ordered


def route(name: str, priority: int = 1, weight: int = 100) -> RouteFacts:
    return RouteFacts(name, "m", name, "u", priority, weight)


def first_of(routes: list[RouteFacts], draws: int = 2000) -> Counter[str]:
    return Counter(_ordered(routes)[0].id for _ in range(draws))


def test_order__priorities__come_before_weights() -> None:
    routes = [route("a", 1, 1), route("b", 2, 9999), route("c", 2, 9999)]
    assert set(first_of(routes, 50)) == {"a"}


def test_order__weights__share_the_first_place() -> None:
    found = first_of([route("a", weight=300), route("b", weight=100)])
    # 1500 expected of 2000, with a deviation of 19: six of them either way.
    assert 1384 <= found["a"] <= 1616


def test_order__weight_zero__comes_only_as_the_last() -> None:
    routes = [route("a", weight=0), route("b"), route("c")]
    for _ in range(50):
        assert [one.id for one in _ordered(routes)][2] == "a"


def test_order__all_weights_zero__keeps_their_order() -> None:
    routes = [route("a", weight=0), route("b", weight=0)]
    assert [one.id for one in _ordered(routes)] == ["a", "b"]


def test_order__one_route__is_itself() -> None:
    assert _ordered([route("a")]) == [route("a")]


def test_order__any_draw__keeps_every_route_once() -> None:
    routes = [route(name, priority) for priority in (1, 2) for name in ("a", "b", "c")]
    drawn = _ordered(routes)
    assert sorted(drawn, key=repr) == sorted(routes, key=repr)
    assert [one.priority for one in drawn] == [1, 1, 1, 2, 2, 2]
