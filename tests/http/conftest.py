"""Names that resolve as a test says, servers that speak bytes, and certificates for them."""

from __future__ import annotations

import datetime
import ssl
from ipaddress import ip_address

import pytest

from mediagen.http import client
from tests.fake_dns import dns

__all__ = ["dns"]


@pytest.fixture(autouse=True)
def not_lingering(request, monkeypatch):
    """Connections are closed when the last session ends, so that a test sees which are left open."""
    if "lingering" not in request.fixturenames:
        monkeypatch.setattr(client, "LINGER_S", 0.0)


@pytest.fixture
def lingering(monkeypatch):
    """`lingering(seconds)`: from now on connections stay so long; before that as they do in a site."""
    return lambda seconds: monkeypatch.setattr(client, "LINGER_S", seconds)


@pytest.fixture(scope="module")
def tls_of(tmp_path_factory):
    """`tls_of(name)`: (server context with a certificate for that name, client context that believes it)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def make(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        try:
            alternative: x509.GeneralName = x509.IPAddress(ip_address(name))
        except ValueError:
            alternative = x509.DNSName(name)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = tmp_path_factory.mktemp("tls") / "server.pem"
        pem.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(pem)
        return server, ssl.create_default_context(cafile=str(pem))

    return make
