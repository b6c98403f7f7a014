"""Which URLs and addresses a provider may have where private ones are refused."""

import importlib
import socket
import ssl
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.apps import apps
from django.core.exceptions import ValidationError
from pytest_django import Settings

from llm.admin.provider_form import ProviderForm
from llm.models import Provider
from llm.providers import address_guard, discovery
from tests.fixtures_billing import make_provider
from valuecanvas.core import crypto
from valuecanvas.core.access import url_guard

INSIDE = [
    "https://10.0.0.1/v1",
    "https://100.64.0.1/v1",
    "https://127.0.0.1:8443/v1",
    "https://127.1/v1",
    "https://0x7f.1/v1",
    "https://2130706433/v1",
    "https://169.254.169.254/v1",
    "https://0.0.0.0/v1",
    "https://224.0.0.1/v1",
    "https://localhost/v1",
    "https://LOCALHOST./v1",
    "https://api.localhost/v1",
    "https://metadata.google.internal/v1",
    "https://[::1]/v1",
    "https://[fd00::1]/v1",
    "https://[fe80::1]/v1",
    "https://[fec0::1]/v1",
    "https://[::ffff:169.254.169.254]/v1",
    "https://[64:ff9b::a9fe:a9fe]/v1",
    "https://[2002:7f00:1::]/v1",
]
OUTSIDE = [
    "https://api.openai.com/v1",
    "https://9.9.9.9/v1",
    "https://[2606:4700::1111]:8443/v1",
    "https://[64:ff9b::909:909]/v1",
]


@pytest.fixture
def safe(settings: Settings) -> None:
    settings.LLM_ALLOW_HTTP_PROVIDERS = False


@pytest.mark.parametrize("url", [*INSIDE, "http://api.openai.com/v1"])
def test_save__private_or_plain__is_refused(safe: None, url: str) -> None:
    row = Provider(key="p", name="P", kind="openai", base_url=url)
    with pytest.raises(ValidationError) as caught:
        row.clean_fields()
    assert [*caught.value.message_dict] == ["base_url"]


@pytest.mark.parametrize("url", OUTSIDE)
def test_save__public__is_taken(safe: None, url: str) -> None:
    Provider(key="p", name="P", kind="openai", base_url=url).clean_fields()


@pytest.mark.parametrize("url", ["http://10.0.0.1/v1", "https://[::1]/v1"])
def test_save__private_where_they_are_allowed__is_taken(url: str) -> None:
    Provider(key="p", name="P", kind="openai", base_url=url).clean_fields()


def test_save__no_such_port__is_refused() -> None:
    with pytest.raises(ValidationError, match="65535"):
        address_guard.check_url("https://api.example:99999/v1")


def test_public__no_address_at_all__is_not() -> None:
    assert not url_guard.is_public("api.example")


@pytest.mark.django_db
def test_form__field_that_may_not_be_edited__is_not_checked(safe: None) -> None:
    """Else whoever may not set the URL could save nothing, and was shown a crash."""
    row = make_provider(base_url="http://127.0.0.1/v1", api_key_env="GONE")
    values = {"key": row.key, "name": "New", "kind": row.kind}
    form = ProviderForm(values, instance=row)
    del form.fields["base_url"], form.fields["api_key_env"]
    assert form.is_valid(), form.errors


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example/v1", "https://a.example:443/v2", True),
        ("https://a.example/v1", "https://A.EXAMPLE/v1", True),
        ("https://a.example/v1", "http://a.example/v1", False),
        ("https://a.example/v1", "https://a.example:8443/v1", False),
        ("https://a.example/v1", "https://b.example/v1", False),
        ("https://a.example/v1", "https://a.example:99999/v1", False),
    ],
)
def test_origin__two_urls__are_one_by_scheme_host_and_port(
    one: str, other: str, same: bool
) -> None:
    assert (address_guard.origin(one) == address_guard.origin(other)) is same


def test_key__downgraded_to_http__does_not_open() -> None:
    row = Provider(key="p", base_url="https://api.example/v1")
    row.set_key("sk-canary")
    row.base_url = "https://api.example:443/v1"
    assert row.open_key() == "sk-canary"
    row.base_url = "http://api.example/v1"
    with pytest.raises(crypto.UnreadableSecret):
        row.open_key()


@pytest.mark.django_db
def test_migration__keys_bound_to_hosts__open_as_before_and_back() -> None:
    moved = importlib.import_module("llm.migrations.0007_provider_key_origin")
    url = "https://Api.example:8443/v1"
    row, lost = make_provider(base_url=url), make_provider()
    old = f"provider:{row.key}:Api.example:8443"
    for one, sealed in ((row, crypto.seal("sk-1", old)), (lost, b"x" * 40)):
        Provider.objects.filter(pk=one.pk).update(api_key_sealed=sealed)
    moved.bind_to_origin(apps, None)
    row.refresh_from_db()
    assert row.open_key() == "sk-1"
    lost.refresh_from_db()
    assert bytes(lost.api_key_sealed or b"") == b"x" * 40
    moved.bind_to_host(apps, None)
    row.refresh_from_db()
    assert crypto.unseal(bytes(row.api_key_sealed or b""), old) == "sk-1"


# Off the hot path: the test of a connection, the list of models.


@pytest.mark.django_db
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_discovery__private_address__is_refused_before_it_connects(
    safe: None, host: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        result = discovery.check(make_provider(base_url=f"https://{host}:{port}/v1"))
        assert (result.ok, result.message) == (False, address_guard.GUARD.private)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.django_db
def test_discovery__plain_http__is_refused(safe: None) -> None:
    result = discovery.check(make_provider(base_url="http://api.example/v1"))
    assert result.message == address_guard.GUARD.plain


def certificate(folder: Path, name: str) -> Path:
    """A certificate that signs itself, with its key, for `name`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(pem, form, serialization.NoEncryption())
        + made.public_bytes(pem)
    )
    return path


class Listed(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"object": "list", "data": [{"id": "%s", "object": "model"}]}'
        told = body % self.headers["Host"].encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["localhost", "other.example"])
def test_discovery__pinned_address__still_proves_the_name_by_tls(
    safe: None, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = certificate(tmp_path, name)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    # There is no public address here: this once, the loopback passes for one.
    monkeypatch.setattr(url_guard, "is_public", lambda address: True)
    server = HTTPServer(("127.0.0.1", 0), Listed)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        where = f"localhost:{server.server_port}"
        row = make_provider(base_url=f"https://{where}/v1")
        if name == "localhost":
            assert list(discovery.discover(row)) == [where]
        else:
            assert not discovery.check(row).ok
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
