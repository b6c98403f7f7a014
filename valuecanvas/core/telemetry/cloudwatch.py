"""Sends log lines to Amazon CloudWatch Logs, in a thread and never past a bound."""

import logging
import threading
from contextlib import suppress
from operator import itemgetter
from typing import Any

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from prometheus_client import Counter
from watchtower import CloudWatchLogHandler

log = structlog.get_logger("cloudwatch")
MOST_WAITING = 10_000
SEND_EVERY_S = 5
# At the end of a process, seconds for what still waits.
LAST_S = 3
TIMEOUT_S = 5
DROPPED = Counter(
    "valuecanvas_log_lines_dropped_total",
    "Log lines that CloudWatch did not get: too many waited, or it did not answer.",
)


class CloudWatchLines(CloudWatchLogHandler):
    """A handler of settings.LOGGING. Callers never wait: watchtower's thread sends.

    The log group is created with the first line if it does not exist.
    """

    FLUSH_TIMEOUT = LAST_S

    def __init__(self, group: str, stream: str, endpoint: str = "") -> None:
        client = boto3.client(
            "logs",
            endpoint_url=endpoint or None,
            config=Config(
                connect_timeout=TIMEOUT_S,
                read_timeout=TIMEOUT_S,
                retries={"total_max_attempts": 1},
            ),
        )
        super().__init__(
            log_group_name=group,
            log_stream_name=stream,
            boto3_client=client,
            create_log_group=False,
            send_interval=SEND_EVERY_S,
        )
        self._failing = False

    def send(self, line: str) -> None:
        """Send a line that is rendered already."""
        record = logging.makeLogRecord({"name": "lines", "msg": line, "rendered": line})
        self.handle(record)

    def format(self, message: logging.LogRecord) -> str:
        rendered: str | None = getattr(message, "rendered", None)
        return super().format(message) if rendered is None else rendered

    def emit(self, message: logging.LogRecord) -> None:
        if threading.current_thread() in self.threads:
            # What sending logs must not be sent.
            return
        if sum(one.qsize() for one in self.queues.values()) >= MOST_WAITING:
            DROPPED.inc()
            return
        super().emit(message)  # type: ignore[no-untyped-call] # has no types

    def _submit_batch(
        self, batch: list[Any], log_stream_name: str, max_retries: int = 2
    ) -> None:
        """Send a batch, in the thread; what fails is counted and dropped."""
        if not batch:
            return
        try:
            self._put(batch, log_stream_name)
        except (BotoCoreError, ClientError) as error:
            DROPPED.inc(len(batch))
            # Once until it works again.
            if not self._failing:
                log.warning("cloudwatch.failed", error=str(error)[:300])
            self._failing = True
        else:
            self._failing = False

    def _put(self, batch: list[Any], stream: str) -> None:
        names = {"logGroupName": self.log_group_name, "logStreamName": stream}
        events = sorted(batch, key=itemgetter("timestamp"))
        try:
            self.cwl_client.put_log_events(**names, logEvents=events)
        except self.cwl_client.exceptions.ResourceNotFoundException:
            self._create("create_log_group", logGroupName=self.log_group_name)
            self._create("create_log_stream", **names)
            self.cwl_client.put_log_events(**names, logEvents=events)

    def _create(self, method: str, **names: str) -> None:
        with suppress(self.cwl_client.exceptions.ResourceAlreadyExistsException):
            getattr(self.cwl_client, method)(**names)
