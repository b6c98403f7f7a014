"""The short look at a request's head lets through what the long one does."""

from itertools import product

import pytest

from valuecanvas.core.errors import InvalidRequest
from valuecanvas.http.protocol import request_head

METHODS = [b"GET", b"POST", b"CONNECT"]
VERSIONS = ["1.1", "1.0", "2.0", ""]
TARGETS = [b"/", b"/v1/models", b"http://h/", b"http://other/", b"*", b""]
HEADERS = [
    [],
    [(b"host", b"h")],
    [(b"host", b"h"), (b"host", b"h")],
    [(b"host", b"")],
    [(b"host", b"a b")],
    [(b"host", b"h"), (b"authorization", b"1")],
    [(b"host", b"h"), (b"authorization", b"1"), (b"authorization", b"1")],
    [(b"host", b"h"), (b"x-api-key", b"1"), (b"x-api-key", b"2")],
    [(b"host", b"h"), (b"accept", b"1"), (b"accept", b"2")],
    [(b"host", b"h"), (b"transfer-encoding", b"chunked")],
    [(b"host", b"h"), (b"transfer-encoding", b"gzip, chunked")],
    [(b"host", b"h"), (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"")],
]


def outcome(*head: object) -> str:
    try:
        request_head.check(*head)
    except InvalidRequest as error:
        return str(error)
    return ""


def test_check__every_head__is_judged_as_without_the_short_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heads = list(product(METHODS, VERSIONS, TARGETS, HEADERS))
    found = [outcome(*head) for head in heads]
    assert "" in found
    monkeypatch.setattr(request_head, "_is_usual", lambda *head: False)
    assert found == [outcome(*head) for head in heads]
