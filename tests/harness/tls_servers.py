"""Certificates and contexts of TLS servers (and clients) that tests connect to; valid now, by the real clock."""

import ssl
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509

from pki import Authority

SERVER_AUTH, CLIENT_AUTH = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"


@cache
def authority(name="Relay Root"):
    now = datetime.now(UTC).replace(microsecond=0)
    return Authority(name, not_before=now - timedelta(days=100), not_after=now + timedelta(days=100))


def issue(*names, days=30, eku=SERVER_AUTH, by=None, common_name="server"):
    """An identity for DNS names, valid for some days from yesterday (or ended, if negative)."""
    now = datetime.now(UTC).replace(microsecond=0)
    span = {"not_before": now - timedelta(days=50), "not_after": now + timedelta(days=days)}
    san = [x509.DNSName(name) for name in names]
    return (by or authority()).issue(san=san, common_name=common_name, key="p256", eku=[eku], usage=None, **span)


def write(folder, identity, name="server"):
    """Certificate and key in one PEM file."""
    path = folder / f"{name}.pem"
    path.write_bytes(identity.key_pem + identity.pem)
    return path


def write_ca(folder, ca=None, name="ca.pem"):
    path = folder / name
    path.write_bytes((ca or authority()).pem)
    return path


def server_context(folder, identity, *, clients=None, most=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(write(folder, identity))
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(write_ca(folder, clients, "clients.pem"))
    if most is not None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = most
    return context
