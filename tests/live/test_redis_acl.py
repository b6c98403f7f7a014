"""Redis with the users of deploy/redis-acl.sh: ValueCanvas works, and may do nothing else."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from django.conf import settings
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from llm.models import Job, JobState
from tests.demo_process import DemoProcess
from tests.live.canary_forms import log_in
from tests.live.server import live_server
from tests.live.world import PATIENCE_S, World, unique
from valuecanvas.embedded import binaries, processes

pytestmark = pytest.mark.live
ACL = Path(__file__).resolve().parents[2] / "deploy/redis-acl.sh"
PASSWORDS = {"operator": "of the operator", "application": "it's of the application"}
PREFIX = "vc"


@dataclass
class Guarded:
    """A Valkey with that file."""

    port: int

    def connect(self, user: str = "valuecanvas", password: str = "") -> "redis.Redis":
        chosen = password or PASSWORDS["application"]
        return redis.Redis(port=self.port, username=user, password=chosen)

    def denied(self) -> list[str]:
        """What was refused since it was last asked."""
        with self.connect("default", PASSWORDS["operator"]) as client:
            found = client.acl_log(128)
            client.acl_log_reset()
        return [f"{one['context']}: {one['object']}" for one in found]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("acl")
    files = [folder / name for name in PASSWORDS]
    for path in files:
        # As most editors leave it.
        path.write_text(PASSWORDS[path.name] + "\n")
    done = subprocess.run([ACL, *files], capture_output=True, check=True)
    (folder / "users.acl").write_bytes(done.stdout)
    port = processes.free_port()
    command = [
        binaries.valkey(), "--port", str(port), "--bind", "127.0.0.1", "--save", "",
        "--aclfile", str(folder / "users.acl"), "--logfile", str(folder / "log"),
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=folder) as process:
        made = Guarded(port)

        def answers() -> bool:
            try:
                with made.connect() as client:
                    return bool(client.ping())
            except RedisError:
                return False

        assert processes.wait_answer(process, answers, 60)
        yield made
        process.terminate()


@contextmanager
def worker(env: dict[str, str], folder: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "valuecanvas", "worker"]
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=settings.BASE_DIR,
            env={**os.environ, **env},
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def test_installation__as_the_user_of_the_file__is_refused_nothing(
    guarded: Guarded,
    server_env: dict[str, str],
    transactional_db: None,
    demo_provider: DemoProcess,
    tmp_path: Path,
) -> None:
    password = "it%27s%20of%20the%20application"
    url = f"redis://valuecanvas:{password}@127.0.0.1:{guarded.port}/0"
    env = {
        **server_env,
        "REDIS_URL": url,
        "CELERY_BROKER_URL": url,
        "REDIS_PREFIX": PREFIX,
        "JOURNAL_DIR": str(tmp_path / "journal"),
    }
    with (
        live_server(tmp_path, env) as server,
        worker(env, tmp_path),
        closing(World(demo_provider, server.port, server.log_path)) as world,
    ):
        use_gateway(world)
        job = world.post(
            "/api/llm/jobs",
            type="completion",
            body={"model": world.serve("ok").model, "messages": [{"role": "user", "content": "Hello"}]},
        ).json["id"]  # fmt: skip
        world.eventually(Job.objects.filter(pk=job, state=JobState.SUCCEEDED).first)
    assert guarded.denied() == []
    with guarded.connect("default", PASSWORDS["operator"]) as client:
        used = {one.decode().split(":")[1].strip("{") for one in client.scan_iter("*")}
        stats = client.info("commandstats")
    # It was used for all of these.
    assert {"cache", "limits", "breaker", "celery", "django"} <= used
    used_by_celery = {"cmdstat_brpop", "cmdstat_psubscribe", "cmdstat_publish"}
    assert used_by_celery | {"cmdstat_incrby"} <= stats.keys()


def use_gateway(world: World) -> None:
    """Stored and shared answers, failover, minute limits, pages, health."""
    model = world.serve("status-500", "ok").model
    text = unique("Say hello")
    found = [world.chat(model, text).headers["x-valuecanvas-cache"] for _ in range(2)]
    assert found == ["miss", "hit"]
    cookie = world.db(log_in)
    for page in ("/admin/", "/api/prompts/"):
        assert world.request(page, key="", cookie=cookie).status == 200
    assert world.request("/api/llm/health").status == 200


@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL", "FLUSHDB", "KEYS *", "SCAN 0", "CONFIG GET *", "CONFIG SET dir /tmp",
        "ACL LIST", "ACL SETUSER valuecanvas +@all", "MONITOR", "SHUTDOWN",
        "MODULE LIST", "REPLICAOF NO ONE", "CLIENT LIST", "SAVE", "SELECT 1", "DBSIZE",
        "FUNCTION LIST", "SCRIPT FLUSH", "GET other:key", "GET vc", "SET vcx:key 1",
        "DEL vc:key other:key", "PUBLISH other:flights:1 x", "SUBSCRIBE other:flights:1",
        "PSUBSCRIBE *", "RENAME vc:a vc:b",
    ],
)  # fmt: skip
def test_command__that_is_not_needed__is_refused(
    guarded: Guarded, command: str
) -> None:
    with guarded.connect() as client, pytest.raises(NoPermissionError):
        client.execute_command(*command.split())


def test_script__of_others_keys_and_commands__is_refused(guarded: Guarded) -> None:
    with guarded.connect() as client:
        # The second is what the trial of a restored backup uses.
        for key in ("vc:mine", "vc-rehearsal:mine"):
            assert client.eval("return redis.call('SET', KEYS[1], 1)", 1, key)
        for script in ("redis.call('FLUSHALL')", "redis.call('GET', 'other:key')"):
            with pytest.raises(RedisError, match="ACL|permission"):
                client.eval(script, 0)


def test_users__without_their_passwords__are_nobody(guarded: Guarded) -> None:
    for user, password in [
        ("default", PASSWORDS["application"]),
        ("valuecanvas", PASSWORDS["operator"]),
        ("default", "wrong"),
    ]:
        with (
            guarded.connect(user, password) as client,
            pytest.raises(AuthenticationError),
        ):
            client.ping()
    with redis.Redis(port=guarded.port) as client, pytest.raises(AuthenticationError):
        client.ping()
