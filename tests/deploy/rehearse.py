"""Builds deploy/Dockerfile on a bare Debian, and serves a request from what was built.

`make rehearse`. No container engine is needed: debootstrap makes a stand-in for the
Python base image (Debian's own Python 3.11), buildah builds the Dockerfile by chroot, and
every process of the image runs in a chroot with a read-only root, as the image's user.
PostgreSQL is Debian's too, so that the image's pg_dump has its version; Valkey is the
embedded one. All is on loopback.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from tests.deploy.image import (
    IMAGE,
    POSTGRES_MAJOR,
    ROOT,
    Builder,
    Image,
    run,
    say,
    timed,
)
from tests.deploy.tools import SERVICES
from valuecanvas.embedded import binaries, postgres, valkey
from valuecanvas.embedded.binaries import Binaries
from valuecanvas.embedded.processes import free_port

SERVER = Path(f"/usr/lib/postgresql/{POSTGRES_MAJOR}/bin")
WAIT_S = 120.0


@dataclass(frozen=True)
class Rehearsal:
    """The image's processes with one environment."""

    image: Image
    env: Mapping[str, str]

    def once(self, *arguments: str) -> str:
        return run(*self.image.command(*arguments, env=self.env))

    @contextmanager
    def running(self, name: str, arguments: Sequence[str]) -> Iterator[psutil.Popen]:
        """A process of the image, ended by SIGTERM; its log is shown if it fails."""
        log = self.image.volume.parent / f"{name}.log"
        with log.open("wb") as output:
            command = self.image.command(*arguments, env=self.env)
            process = psutil.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield process
            memory = process.memory_info().rss // 2**20
            process.terminate()
            with timed(f"{name}: ended by SIGTERM, had {memory} MB of memory"):
                code = process.wait(WAIT_S)
            assert code in (0, -15), f"{name} ended with {code}"
        except BaseException:
            say(f"--- {name}\n{log.read_text()[-4000:]}")
            raise
        finally:
            if process.is_running():
                process.kill()


def wait_until(what: str, check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    with timed(what):
        while not check():
            assert time.monotonic() < deadline, f"Not within {WAIT_S} s: {what}"
            time.sleep(0.2)


def ask(url: str, body: Any = None, **headers: str) -> tuple[int, str]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Host": "llm.example.com", **headers})  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def environment(folder: Path, demo_port: int) -> dict[str, str]:
    """What the manifests set, with secrets made as the docs say."""
    run(str(ROOT / "deploy/make-secrets.sh"), str(folder / "secrets"))
    made = {x.name: x.read_text() for x in (folder / "secrets").iterdir()}
    shipped = (ROOT / "deploy/k8s/base/config.env").read_text().splitlines()
    return {
        **dict(line.split("=", 1) for line in shipped if not line.startswith("#")),
        **{name: value for name, value in made.items() if value},
        "ALLOWED_HOSTS": "llm.example.com",
        "LLM_ALLOW_HTTP_PROVIDERS": "on",
        "DEMO_PROVIDER_URL": f"http://127.0.0.1:{demo_port}/v1",
    }


def serve(it: Rehearsal, port: int, demo_port: int) -> None:
    """Set up the database, start all processes, and have a request answered."""
    with timed("upgrade, seed"):
        for command in ("upgrade --no-backup", "seed"):
            it.once("python", "manage.py", *command.split())
    key = it.once("python", "manage.py", "credentials").split("API key: ")[1]
    backup_key = it.once("python", "manage.py", "backup", "--new-key")
    it = replace(it, env={**it.env, "BACKUP_KEY": backup_key})
    web = [x.replace("8000", str(port)) for x in it.image.config["Cmd"]]
    demo = ["python", "manage.py", "demo_provider", "--port", str(demo_port)]
    jobs = {name: SERVICES[name]["command"] for name in ("worker", "beat")}
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        for name, command in {"web": web, "demo": demo, **jobs}.items():
            stack.enter_context(it.running(name, command))
        models = f"http://127.0.0.1:{demo_port}/v1/models"
        wait_until("the demo provider is there", lambda: ask(models)[0] == 200)
        wait_until(
            "web: /health/ready is 200", lambda: ask(f"{url}/health/ready")[0] == 200
        )
        check = [
            x.replace("8000", str(port)) for x in it.image.config["Healthcheck"]["Test"]
        ]
        it.once(*check[1:])
        say("           the image's health check passes")
        look_at_pages(url)
        with timed("the first request is answered"):
            answer = ask_model(url, key)
        say(f"           {answer}")
        ping = ("celery", "-A", "valuecanvas", "inspect", "ping")
        say(f"           worker: {it.once(*ping).splitlines()[0]}")
        with timed("a backup is made and restored for trial"):
            made = it.once("python", "manage.py", "backup")
        say(f"           {made}")


def look_at_pages(url: str) -> None:
    status, page = ask(f"{url}/admin/login/", **{"X-Forwarded-Proto": "https"})
    assert status == 200, f"/admin/login/: {status}"
    style = page.split('href="/static/')[1].split('"')[0]
    assert ask(f"{url}/static/{style}", **{"X-Forwarded-Proto": "https"})[0] == 200, (
        style
    )
    say(f"           the login page and its {style} come")


def ask_model(url: str, key: str) -> str:
    body = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    status, answer = ask(f"{url}/v1/chat/completions", body, **headers)
    assert status == 200, f"{status}: {answer}"
    text: str = json.loads(answer)["choices"][0]["message"]["content"]
    return text.splitlines()[0]


def look_at_image(it: Rehearsal) -> None:
    say(
        f"           user {it.once('id', '-u')}, {it.once('python', '-V')}, {it.once('pg_dump', '--version')}"
    )
    for place in ("/app/x", "/opt/venv/x", "/etc/x"):
        tried = it.image.command("touch", place, env=it.env)
        assert subprocess.run(tried, capture_output=True, check=False).returncode, place
    found = it.once("sh", "-c", "command -v gcc cc make || true; ls -a /app")
    size = run("du", "-sm", str(it.image.root)).split()[0]
    say(f"           {size} MB; /app has {' '.join(found.split()[2:])}")


def main() -> None:
    missing = [
        name for name in ("debootstrap", "buildah", "unshare") if not shutil.which(name)
    ]
    missing += [] if SERVER.exists() else [f"postgresql-{POSTGRES_MAJOR}"]
    if os.geteuid() or missing:
        sys.exit(
            f"Run it as root, with these installed: {', '.join(missing) or 'all are'}."
        )
    with (
        tempfile.TemporaryDirectory(prefix="valuecanvas-rehearsal-") as text,
        ExitStack() as stack,
    ):
        folder = Path(text)
        folder.chmod(0o711)
        builder = Builder(folder)
        with timed("stand-in for the base image, by debootstrap"):
            builder.make_base()
        with timed("deploy/Dockerfile built"):
            builder.build()
        name = builder("from", "--pull-never", IMAGE)
        config = json.loads(builder("inspect", "--type", "image", IMAGE))["Docker"][
            "config"
        ]
        volume = folder / "volume"
        volume.mkdir(mode=0o700)
        os.chown(volume, *map(int, config["User"].split(":")))
        image = Image(Path(builder("mount", name)), config, volume)
        binaries.postgres = lambda: Binaries(SERVER)
        database = postgres.start(folder / "postgres", durable=False, attached=True)
        stack.callback(postgres.stop, database, folder / "postgres")
        redis = valkey.start(folder / "valkey", durable=False, attached=True)
        stack.callback(valkey.stop, redis)
        port, demo_port = free_port(), free_port()
        env = environment(folder, demo_port)
        env |= {"DATABASE_URL": database.url, "REDIS_URL": redis.url}
        it = Rehearsal(image, env)
        look_at_image(it)
        serve(it, port, demo_port)
        left = sorted(
            str(x.relative_to(volume)) for x in volume.rglob("*") if x.is_file()
        )
        say(f"           left on the volume: {', '.join(left)}")


if __name__ == "__main__":
    main()
