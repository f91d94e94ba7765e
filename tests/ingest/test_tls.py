"""Venues behind certificates that are not valid: refused, the reason said, nothing sent in the clear."""

import datetime
import ipaddress
import ssl
from http import HTTPStatus

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sockets import accept, feeding, listening, trade_frame, until

from sofia_streams.ingest.sockets import connection

pytestmark = pytest.mark.slow
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The same steps, closer together."""
    monkeypatch.setattr(connection, "_LOOK_S", 0.02)
    monkeypatch.setattr("sofia_streams.ingest.sockets.pace.pause_s", lambda failures: 0.05)


def certificate(subject, issuer, issuer_key, key, names, begins, ends, *, is_authority=False):
    builder = x509.CertificateBuilder(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]),
        key.public_key(), x509.random_serial_number(), begins, ends,
    )  # fmt: skip
    builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A server's TLS by what is wrong with it; the authority of all but `self-signed` is trusted here."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    here = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    root = certificate("root", "root", authority, authority, None, NOW - 9 * DAY, NOW + 9 * DAY, is_authority=True)
    (tmp_path / "root.pem").write_bytes(root)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))
    made = {
        "valid": ("venue", "root", authority, key, here, NOW - DAY, NOW + DAY),
        "expired": ("venue", "root", authority, key, here, NOW - 8 * DAY, NOW - DAY),
        "of-tomorrow": ("venue", "root", authority, key, here, NOW + DAY, NOW + 8 * DAY),
        "of-another-host": ("venue", "root", authority, key, [x509.DNSName("else.where")], NOW - DAY, NOW + DAY),
        "self-signed": ("venue", "venue", key, key, here, NOW - DAY, NOW + DAY),
    }
    plain = serialization.NoEncryption()
    key_text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)

    def of(what):
        path = tmp_path / f"{what}.pem"
        path.write_bytes(certificate(*made[what]) + key_text)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    return of


async def test_a_venue_with_a_valid_certificate_is_read(served):
    """Without this the refusals below would prove nothing."""

    async def venue(socket):
        await accept(socket)
        await socket.send(trade_frame(1))
        await socket.wait_closed()

    async with listening(venue, ssl=served("valid")) as url, feeding(url.replace("ws:", "wss:")) as (_, log):
        await until(lambda: log.ids("binance"))


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("expired", "certificate has expired"),
        ("of-tomorrow", "certificate is not yet valid"),
        ("of-another-host", "certificate is not valid for '127.0.0.1'"),
        ("self-signed", "self-signed certificate"),
    ],
)
async def test_a_certificate_that_is_not_valid_is_refused_and_the_reason_said(served, what, reason):
    reached = []

    async def venue(socket):
        reached.append(socket)

    with structlog.testing.capture_logs() as said:
        async with listening(venue, ssl=served(what)) as url, feeding(url.replace("ws:", "wss:")) as (feed, log):
            await until(lambda: len([one for one in said if one["event"] == "no connection, trying again"]) >= 3)
            assert feed.down_since_s is not None and feed.reconnects == 0
        errors = [one["error"] for one in said if "error" in one]
    assert all(reason in error for error in errors), errors
    assert all(("clock" in error) is (what in ("expired", "of-tomorrow")) for error in errors), errors
    assert reached == [] and log.records == []


async def test_a_venue_that_sends_us_on_to_the_clear_is_not_followed(served):
    in_the_clear = []

    async def plain(socket):
        in_the_clear.append(socket)

    async with listening(plain) as plain_url:

        def onward(socket, request):
            response = socket.respond(HTTPStatus.FOUND, "go there")
            response.headers["Location"] = plain_url
            return response

        with structlog.testing.capture_logs() as said:
            async with (
                listening(plain, ssl=served("valid"), process_request=onward) as url,
                feeding(url.replace("ws:", "wss:")) as (feed, _),
            ):
                await until(lambda: len([one for one in said if "error" in one]) >= 2)
                assert feed.down_since_s is not None
    assert in_the_clear == []


async def test_a_server_without_tls_is_not_read_in_the_clear():
    reached = []

    async def plain(socket):
        reached.append(socket)

    with structlog.testing.capture_logs() as said:
        async with listening(plain) as url, feeding(url.replace("ws:", "wss:")):
            await until(lambda: len([one for one in said if "error" in one]) >= 2)
    assert reached == []
