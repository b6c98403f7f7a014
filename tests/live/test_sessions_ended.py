"""All sessions at the database ended, as by its restart or its failover to a standby."""

import pytest
from django.db import connection, connections

from tests.fixtures_billing import unique
from tests.live.world import World

pytestmark = pytest.mark.live


def end_all_sessions() -> int:
    """Those of all processes at this worker's database, but for the asking one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        [count] = cursor.fetchone() or (0,)
    connections.close_all()
    return int(count)


@pytest.mark.parametrize("known", [True, False])
def test_request__sessions_were_ended_since_the_last_one__is_answered(
    world: World, known: bool
) -> None:
    served = world.serve("ok")
    assert world.chat(served.model, "Is it there?").status == 200
    key = world.key if known else world.new_key()
    assert world.db(end_all_sessions) > 0
    said = [{"role": "user", "content": unique("Is it still there?")}]
    answer = world.post("/v1/chat/completions", key, model=served.model, messages=said)
    assert answer.status == 200, answer.body
    # This thread's own was ended too.
    connections.close_all()
