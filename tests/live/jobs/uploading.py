"""Uploads as bytes, and calls about files and batches at a gateway in the same loop."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from llm.models import JobBatch, JobFile, JobFilePart
from llm.runtime import UPLOADS_AT_ONCE, Runtime
from tests.live.inside import Exchange
from tests.live.world import Answer, World

BOUNDARY = b"boundary0123"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY.decode()}"
CHAT = "/v1/chat/completions"


def line(custom_id: str, model: str, text: str = "", **fields: Any) -> dict[str, Any]:
    """A line of a batch of chats."""
    messages = [{"role": "user", "content": text or f"Say {custom_id}."}]
    body = {"model": model, "messages": messages, **fields}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}


def jsonl(*lines: Any) -> bytes:
    return b"\n".join(orjson.dumps(one) for one in lines)


def form(*parts: bytes, end: bytes = b"--" + BOUNDARY + b"--\r\n") -> bytes:
    return b"".join(b"--" + BOUNDARY + b"\r\n" + one + b"\r\n" for one in parts) + end


def text_part(name: str, value: str) -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"\r\n\r\n'
    return head.encode() + value.encode()


def file_part(
    content: bytes = b"{}", filename: bytes = b"in.jsonl", name: bytes = b"file"
) -> bytes:
    head = b'Content-Disposition: form-data; name="%b"; filename="%b"\r\n\r\n'
    return head % (name, filename) + content


PURPOSE = text_part("purpose", "batch")
WHOLE = form(PURPOSE, file_part())


@dataclass
class FilesApi:
    """Calls of one customer about its files and batches."""

    world: World
    gateway: Runtime

    def exchange(
        self,
        path: str,
        body: bytes | Sequence[bytes] = b"",
        *,
        method: str = "GET",
        kind: str = "application/json",
        key: str | None = None,
    ) -> Exchange:
        path, _, asked = path.partition("?")
        key = self.world.key if key is None else key
        made = Exchange(self.gateway, path, body, method=method, key=key)
        made.scope["query_string"] = asked.encode()
        made.scope["headers"][0] = (b"content-type", kind.encode())
        return made

    async def get(self, path: str, key: str | None = None) -> Answer:
        return await self.exchange(path, key=key).run()

    async def post(self, path: str, key: str | None = None, **body: Any) -> Answer:
        sent = orjson.dumps(body) if body else b""
        return await self.exchange(path, sent, method="POST", key=key).run()

    async def upload(
        self, body: bytes | Sequence[bytes], key: str | None = None, **kind: str
    ) -> Answer:
        """POST a multipart body."""
        sent = kind.get("kind", MULTIPART)
        made = self.exchange("/v1/files", body, method="POST", kind=sent, key=key)
        return await made.run()

    async def add(self, content: bytes, name: bytes = b"in.jsonl") -> str:
        """Upload a file; its id."""
        answer = await self.upload(form(PURPOSE, file_part(content, name)))
        assert answer.status == 200, answer.body
        return str(answer.json["id"])

    async def add_batch(self, *lines: Any, **fields: Any) -> dict[str, Any]:
        """Upload lines, and create a batch of them by OpenAI's API."""
        answer = await self.post(
            "/v1/batches",
            input_file_id=await self.add(jsonl(*lines)),
            endpoint=CHAT,
            completion_window="24h",
            **fields,
        )
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json
        return found

    def rows(self) -> tuple[int, int]:
        """How many files and parts the customer has."""
        who = self.world.customer.pk
        parts = JobFilePart.objects.filter(file__customer_id=who)
        files = JobFile.objects.filter(customer_id=who)
        return self.world.db(files.count), self.world.db(parts.count)

    def batch(self, batch_id: str) -> JobBatch:
        pk = batch_id.removeprefix("batch_")
        return self.world.db(JobBatch.objects.get, pk=pk)

    def is_idle(self) -> bool:
        """Whether no upload holds a place."""
        left: int = self.gateway.uploads._left
        return left == UPLOADS_AT_ONCE


def open_temporary_files() -> list[str]:
    """What this process has open in the folder of spools, without a name."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target.endswith("(deleted)") and str(settings.VAR_DIR) in target:
            found.append(target)
    return found


def assert_nothing_left(api: FilesApi) -> None:
    assert api.rows() == (0, 0)
    assert api.is_idle()
    assert open_temporary_files() == []
