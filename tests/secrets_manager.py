"""AWS Secrets Manager as moto serves it on loopback, for the tests that read from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

# What boto3 needs to find the server, and to look nowhere else.
ACCESS = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class SecretsManager:
    """Secrets by name, and the environment that leads a process to them."""

    def __init__(self, endpoint: str) -> None:
        self.environment = {**ACCESS, "AWS_ENDPOINT_URL": endpoint}
        self._client: Any = boto3.client(
            "secretsmanager",
            endpoint_url=endpoint,
            region_name=ACCESS["AWS_DEFAULT_REGION"],
            aws_access_key_id="nobody",
            aws_secret_access_key="nothing",
        )

    def put(self, name: str, text: str) -> None:
        """Create the secret, or rotate it."""
        try:
            self._client.create_secret(Name=name, SecretString=text)
        except self._client.exceptions.ResourceExistsException:
            self._client.put_secret_value(SecretId=name, SecretString=text)


@contextmanager
def serve_secrets() -> Iterator[SecretsManager]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield SecretsManager(f"http://{host}:{port}")
    finally:
        server.stop()
