"""A Prometheus of its own, with the product's rules, in tests at fifteen times their speed."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import yaml

from tests.deploy.tools import DEPLOY, find_program
from valuecanvas.embedded.processes import free_port

FOLDER = DEPLOY / "observability/prometheus"
FASTER = 15
PATIENCE_S = 120.0
MILLISECONDS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True)
class Prometheus:
    port: int

    def query(self, expression: str) -> list[dict[str, str]]:
        """The labels of the series that an expression gives now."""
        path = f"/api/v1/query?{urlencode({'query': expression})}"
        found = json.loads(self._get(path))
        assert found["status"] == "success", found
        return [one["metric"] for one in found["data"]["result"]]

    def exemplar(self, metric: str) -> dict[str, str]:
        """The labels of the newest exemplar of a metric."""
        asked = {"query": metric, "start": time.time() - 3600, "end": time.time()}
        path = f"/api/v1/query_exemplars?{urlencode(asked)}"
        found = json.loads(self._get(path))["data"]
        labels: dict[str, str] = found[-1]["exemplars"][-1]["labels"]
        return labels

    def firing(self) -> set[str]:
        """The alerts that fire now."""
        return {one["alertname"] for one in self.query('ALERTS{alertstate="firing"}')}

    def is_ready(self) -> bool:
        try:
            return self._get("/-/ready") != ""
        except OSError:
            return False

    def _get(self, path: str) -> str:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read().decode()
            return text if answer.status in (200, 400) else ""
        finally:
            connection.close()


def wait_for(condition: Callable[[], bool]) -> None:
    """Return once it holds. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("That did not happen.")
        time.sleep(0.5)


def hasten(text: str, faster: int) -> str:
    """The rules with all their times divided by `faster`."""

    def shorten(found: re.Match[str]) -> str:
        before, count, unit = found.groups()
        return f"{before}{int(count) * MILLISECONDS[unit] // faster}ms"

    return re.sub(r"(\[|for: |interval: )(\d+)([smhd])\b", shorten, text)


@contextmanager
def prometheus(
    folder: Path, target: int, token: str, *, faster: int = FASTER
) -> Iterator[Prometheus]:
    """Run Prometheus with the product's configuration; it scrapes the port `target`.

    Skips the test where Prometheus is not installed.
    """
    program = find_program("prometheus")
    config = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    for key in ("scrape_interval", "evaluation_interval"):
        seconds = int(config["global"][key].removesuffix("s"))
        config["global"][key] = f"{seconds * 1000 // faster}ms"
    del config["alerting"]
    scrape, *_ = config["scrape_configs"]
    scrape["authorization"]["credentials_file"] = "token"
    del scrape["dns_sd_configs"]
    scrape["static_configs"] = [{"targets": [f"127.0.0.1:{target}"]}]
    config["scrape_configs"] = [scrape]
    (folder / "token").write_text(token)
    (folder / "rules.yaml").write_text(
        hasten((FOLDER / "rules.yaml").read_text(), faster)
    )
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        program,
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
    ]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        running = Prometheus(port)
        try:
            wait_for(running.is_ready)
            yield running
        finally:
            process.terminate()
