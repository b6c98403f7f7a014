"""The compose file fits its schema, the settings and the gateway's times."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml
from django.conf import settings

from llm.jobs.views.uploads import FORM_BYTES
from llm.models import Model
from tests.deploy.tools import (
    COMPOSE,
    DEPLOY,
    SERVICES,
    check_settings,
    make_secrets,
    read_env,
)
from valuecanvas import env
from valuecanvas.embedded import binaries, postgres

FOLDER = DEPLOY / "compose"
FILE = FOLDER / "compose.yaml"
WATCH_FILE = DEPLOY / "observability/compose.yaml"
WATCH = yaml.safe_load(WATCH_FILE.read_text())
OURS = ("migrate", "web", "worker", "beat")
NGINX = (FOLDER / "nginx.conf").read_text()


def schema_errors(path: Path) -> str:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    done = subprocess.run(
        [*command, "vendor.compose-spec", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode else ""


@pytest.mark.parametrize("path", [FILE, WATCH_FILE], ids=lambda it: it.parent.name)
def test_file__of_compose__fits_the_schema(path: Path) -> None:
    assert schema_errors(path) == ""


def test_schema__an_unknown_key__is_found(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(FILE.read_text().replace("    shm_size:", "    shm_sise:"))
    assert "shm_sise" in schema_errors(wrong)


def test_settings__of_every_process__are_declared_and_start(tmp_path: Path) -> None:
    made = make_secrets(tmp_path / "secrets", "--compose")
    asked = read_env(FOLDER / ".env.example")
    given = {**asked, "ALLOWED_HOSTS": "llm.example.com"}
    given["CSRF_TRUSTED_ORIGINS"] = "https://llm.example.com"
    for name in OURS:
        environment = SERVICES[name]["environment"]
        declared = env.DECLARED.keys() | {"AWS_SHARED_CREDENTIALS"}
        assert {x.removesuffix("_FILE") for x in environment} <= declared
        files = {x for x in environment if x.endswith("_FILE")}
        named = {Path(environment[x]).name for x in files}
        assert named == set(SERVICES[name]["secrets"])
    # The web process has no more settings than the last one.
    paths = {x: str(made[Path(environment[x]).name]) for x in files}
    image = {"VALUECANVAS_ENV": "production"}
    assert check_settings({**given, **environment, **paths, **image}) == ""
    assert "ALLOWED_HOSTS" in check_settings({**asked, **environment, **paths, **image})


def test_secrets__of_compose__are_those_that_the_script_makes(tmp_path: Path) -> None:
    made = make_secrets(tmp_path / "secrets", "--compose")
    assert {*COMPOSE["secrets"], *WATCH["secrets"]} == set(made)
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"secrets/{name}"}
    for name, secret in WATCH["secrets"].items():
        assert secret == {"file": f"../compose/secrets/{name}"}
    before = {name: path.read_text() for name, path in made.items()}
    assert all(text == text.strip() for text in before.values())
    again = make_secrets(tmp_path / "secrets", "--compose")
    assert {name: path.read_text() for name, path in again.items()} == before
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0


def test_example__of_env__names_what_the_file_takes() -> None:
    taken = set(re.findall(r"(?<!\$)\$\{(\w+)", FILE.read_text()))
    named = set(read_env(FOLDER / ".env.example"))
    assert taken <= named
    assert named - taken <= env.DECLARED.keys()


def test_images__of_every_service__have_a_version() -> None:
    version = settings.SPECTACULAR_SETTINGS["VERSION"]
    example = read_env(FOLDER / ".env.example")
    assert example["VALUECANVAS_IMAGE"] == f"valuecanvas:{version}"
    for name, service in (SERVICES | WATCH["services"]).items():
        assert ":" in service["image"], name
        assert "latest" not in service["image"], name


def test_processes__of_ours__wait_for_migrations_and_are_locked() -> None:
    done = {"migrate": {"condition": "service_completed_successfully"}}
    for name in OURS:
        service = SERVICES[name]
        assert name == "migrate" or service["depends_on"] == done
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    for name in ("postgres", "redis"):
        assert "ports" not in SERVICES[name]
        assert SERVICES[name]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_watchers__of_the_installation__are_locked_and_reach_what_they_watch() -> None:
    assert WATCH["include"] == ["../compose/compose.yaml"]
    assert WATCH["name"] == COMPOSE["name"]
    assert not WATCH["services"].keys() & SERVICES.keys()
    networks = {*COMPOSE["networks"], *WATCH["networks"]}
    secrets = {*COMPOSE["secrets"], *WATCH["secrets"]}
    for name, service in WATCH["services"].items():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        # Dashboards and traces are for this machine: a proxy of your own lets others in.
        assert all(one.startswith("127.0.0.1:") for one in service.get("ports", ()))
        assert {*service["networks"]} <= networks - {"inside"}, name
        assert {*service.get("secrets", ())} <= secrets
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            known = source in WATCH["volumes"] or (WATCH_FILE.parent / source).exists()
            assert known, f"{name}: {source}"


def test_scrapes__of_prometheus__go_to_services_with_the_token() -> None:
    config = yaml.safe_load(
        (WATCH_FILE.parent / "prometheus/prometheus.yaml").read_text()
    )
    ours, workers, *others = config["scrape_configs"]
    assert workers["authorization"] == ours["authorization"]
    (worker,) = workers["dns_sd_configs"]
    port = SERVICES["worker"]["environment"]["WORKER_METRICS_PORT"]
    assert (worker["names"], str(worker["port"])) == (["worker"], port)
    secret = ours["authorization"]["credentials_file"].removeprefix("/run/secrets/")
    assert [secret] == WATCH["services"]["prometheus"]["secrets"]
    (web,) = ours["dns_sd_configs"]
    assert web["names"] == ["web"]
    assert f'"{web["port"]}"' in (DEPLOY / "Dockerfile").read_text()
    named = [config["alerting"]["alertmanagers"][0], *others]
    hosts = [one["static_configs"][0]["targets"][0].split(":")[0] for one in named]
    assert set(hosts) <= WATCH["services"].keys()
    # Burn rates are sums over steps of this length.
    rules = yaml.safe_load((WATCH_FILE.parent / "prometheus/rules.yaml").read_text())
    intervals = {group["interval"] for group in rules["groups"]}
    assert {config["global"]["scrape_interval"]} == intervals


def test_traces__of_the_collector__go_to_jaeger() -> None:
    folder = WATCH_FILE.parent
    collector, jaeger = (
        yaml.safe_load((folder / name).read_text())
        for name in ("collector.yaml", "jaeger.yaml")
    )
    for config in (collector, jaeger):
        (pipeline,) = config["service"]["pipelines"].values()
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) == config[kind].keys()
    (exporter,) = collector["exporters"].values()
    host, port = exporter["endpoint"].split(":")
    assert host in WATCH["services"]
    receiver = jaeger["receivers"]["otlp"]["protocols"]["grpc"]
    assert receiver["endpoint"] == f"0.0.0.0:{port}"


def test_redis__at_its_start__has_the_users_of_the_script(tmp_path: Path) -> None:
    made = make_secrets(tmp_path / "secrets", "--compose")
    write, start = SERVICES["redis"]["command"][2].split(" && exec ")
    users = tmp_path / "users.acl"
    for path, here in {
        "/run/secrets": tmp_path / "secrets",
        "/redis-acl.sh": DEPLOY / "redis-acl.sh",
        "/run/users.acl": users,
    }.items():
        write = write.replace(path, str(here))
    subprocess.run(["sh", "-c", write], check=True)
    assert "--aclfile /run/users.acl" in start
    found = {
        line.split()[1]: line.split()[3] for line in users.read_text().splitlines()
    }
    assert found == {
        user: "#" + hashlib.sha256(made[name].read_bytes()).hexdigest()
        for user, name in {
            "default": "REDIS_PASSWORD",
            "valuecanvas": "REDIS_APP_PASSWORD",
        }.items()
    }
    url = urlsplit(made["REDIS_URL"].read_text())
    assert (url.username, url.password) == (
        "valuecanvas",
        made["REDIS_APP_PASSWORD"].read_text(),
    )
    assert set(SERVICES["redis"]["secrets"]) == {"REDIS_PASSWORD", "REDIS_APP_PASSWORD"}
    assert "../redis-acl.sh:/redis-acl.sh:ro" in SERVICES["redis"]["volumes"]


def test_web__told_to_stop__has_time_to_drain() -> None:
    drain = settings.SHUTDOWN_GRACE_S + settings.SHUTDOWN_STREAMS_S
    grace = int(SERVICES["web"]["stop_grace_period"].removesuffix("s"))
    assert grace >= drain + 8
    # Streams end through it.
    assert int(SERVICES["nginx"]["stop_grace_period"].removesuffix("s")) > grace


def test_journals__of_web_processes__are_on_a_volume_that_workers_see() -> None:
    (web,) = SERVICES["web"]["volumes"]
    assert SERVICES["worker"]["volumes"] == [web]
    volume, path = web.split(":")
    assert volume in COMPOSE["volumes"]
    assert f"VALUECANVAS_VAR={path}\n" in (DEPLOY / "Dockerfile").read_text()


def nginx(directive: str) -> str:
    found = re.findall(rf"^\s*{directive}\s+(.+);$", NGINX, re.MULTILINE)
    assert len(found) == 1, directive
    return str(found[0])


def test_nginx__limits__are_the_gateway_s() -> None:
    size = int(nginx("client_max_body_size").removesuffix("m"))
    assert FORM_BYTES <= size * 2**20 - settings.FILES_MAX_BYTES <= 2**20
    longest = Model._meta.get_field("total_stream_s").default
    assert int(nginx("proxy_read_timeout").removesuffix("s")) > longest
    assert nginx("proxy_buffering") == nginx("proxy_request_buffering") == "off"
    # What a client sent in it is not passed on: TRUST_PROXY believes it.
    assert nginx("proxy_set_header X-Forwarded-For") == "$remote_addr"
    assert nginx("proxy_set_header X-Forwarded-Proto") == "$scheme"
    serve = (DEPLOY.parent / "valuecanvas/serve.py").read_text()
    idle = re.search(r'"--timeout-keep-alive", "(\d+)"', serve)
    assert idle
    assert int(nginx("keepalive_timeout").removesuffix("s")) < int(idle[1])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """A new PostgreSQL with what the container's has at its first start."""
    engine = postgres.start(tmp_path / "postgres", durable=False, attached=True)
    url = urlsplit(engine.url)._replace(path="/postgres").geturl()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP DATABASE valuecanvas")
        connection.execute("CREATE ROLE postgres SUPERUSER LOGIN PASSWORD 'postgres'")
    address = f"127.0.0.1:{engine.port}"
    with psycopg.connect(f"postgresql://postgres:postgres@{address}/postgres") as own:
        own.execute("ALTER ROLE valuecanvas RENAME TO bootstrap")
    yield address
    postgres.stop(engine, tmp_path / "postgres")


def test_database__at_its_first_start__has_a_role_that_is_no_superuser(
    cluster: str, tmp_path: Path
) -> None:
    password = "it's a 'quoted' \"password\""
    (tmp_path / "password").write_text(password)
    host, port = cluster.split(":")
    given = {
        "PATH": f"{binaries.postgres().folder}:{os.environ['PATH']}",
        "PGHOST": host,
        "PGPORT": port,
        "PGPASSWORD": "postgres",
        "POSTGRES_USER": "postgres",
        "APP_PASSWORD_FILE": str(tmp_path / "password"),
    }
    script = str(FOLDER / "postgres-init.sh")
    subprocess.run([script], env=given, check=True, capture_output=True)
    login = f"host={host} port={port} user=valuecanvas dbname=valuecanvas"
    with psycopg.connect(login, password=password) as connection:
        rights = (
            "SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        )
        assert connection.execute(rights).fetchone() == (False, True)
        connection.execute("SET log_min_error_statement = 'panic'")
        connection.execute("CREATE TABLE public.its_own (id int)")
