"""A TLS policy as Postfix's SMTP client carries it out, and how it is written (smtp_tls_policy_maps, postconf(5)).

    secure match=mx.example.com:.example.net servername=hostname protocols=>=TLSv1.3
    fingerprint match=AB:CD:…|EF:01:…

Blanks and commas part the attributes, a colon or a bar the values, and nothing can be quoted: so every value here is
made of characters that mean nothing, or there is no policy.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path

from mailseal.errors import PermanentError

MAX_NAMES = 100
MAX_FINGERPRINTS = 30
MAX_NAME_CHARS = 253
_LABEL = r"[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?:\*\.{_LABEL}\.)?{_LABEL}(?:\.{_LABEL})*")
_WORDS = frozenset({"hostname", "nexthop", "dot-nexthop"})
"""What Postfix takes for more than a name: `hostname` would have it believe the DNS."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FILE = re.compile(r"/[A-Za-z0-9_./+@%~\-]{1,400}")


class Level(StrEnum):
    """Postfix's security levels."""

    NONE = "none"
    MAY = "may"
    ENCRYPT = "encrypt"
    DANE = "dane"
    DANE_ONLY = "dane-only"
    FINGERPRINT = "fingerprint"
    VERIFY = "verify"
    SECURE = "secure"

    @property
    def binding(self) -> bool:
        """Whether mail waits rather than go without it. `dane` binds only where the other side publishes TLSA."""
        return self not in {Level.NONE, Level.MAY, Level.DANE}

    @property
    def by_name(self) -> bool:
        """Whether a name in the certificate is looked for."""
        return self in {Level.VERIFY, Level.SECURE}

    @property
    def proves(self) -> bool:
        """Whether mail waits until the server has proved who it is."""
        return self in {Level.DANE_ONLY, Level.FINGERPRINT, Level.VERIFY, Level.SECURE}

    @property
    def by_dns(self) -> bool:
        """Whether TLSA records are looked for (RFC 7672)."""
        return self in {Level.DANE, Level.DANE_ONLY}


class LeastTls(StrEnum):
    """The oldest version of TLS that is spoken; DEFAULT is what Postfix is set to."""

    DEFAULT = ""
    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


class ServerName(StrEnum):
    """The name that is sent in the handshake (SNI, RFC 6066 §3) so that the server picks a certificate."""

    NONE = ""
    HOST = "hostname"
    """The MX host's, or the next hop's."""
    DESTINATION = "nexthop"
    """The domain's."""


class TlsPolicyError(PermanentError):
    """These values make no policy; the text says why."""


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """One that cannot be misread: making another raises TlsPolicyError.

    `names`: what the certificate has to name, as A-labels, `*.example.com` for all below; or an IPv4 address. None of
    them: at `verify` the host, at `secure` the destination or one below it. `fingerprints`: SHA-256 of the certificate
    or of its public key (SubjectPublicKeyInfo), hexadecimal. `trust_anchors`: PEM of the CAs that count instead of the
    system's.
    """

    level: Level
    names: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    least_tls: LeastTls = LeastTls.DEFAULT
    server_name: ServerName = ServerName.NONE
    trust_anchors: Path | None = None

    def __post_init__(self) -> None:
        if problem := _problem(self):
            raise TlsPolicyError(problem)


def rendered(policy: TlsPolicy) -> str:
    """A policy as Postfix reads it. Nothing is left to what main.cf says, but the version of TLS by default."""
    words: list[str] = [policy.level]
    match policy.level:
        case Level.FINGERPRINT:
            words.append("match=" + "|".join(with_colons(one) for one in policy.fingerprints))
        case Level.VERIFY:
            words.append("match=" + (":".join(map(_dotted, policy.names)) or "hostname"))
        case Level.SECURE:
            words.append("match=" + (":".join(map(_dotted, policy.names)) or "nexthop:dot-nexthop"))
        case Level.NONE | Level.MAY | Level.ENCRYPT | Level.DANE | Level.DANE_ONLY:
            pass
    if policy.server_name:
        words.append(f"servername={policy.server_name}")
    if policy.least_tls:
        words.append(f"protocols=>=TLSv{policy.least_tls}")
    if policy.trust_anchors:
        words.append(f"tafile={policy.trust_anchors}")
    return " ".join(words)


def is_name(text: str) -> bool:
    """Whether a text can stand in `names`: an A-label name, or `*.` and one of two labels or more."""
    numeric = text.rpartition(".")[2].isdecimal()
    return len(text) <= MAX_NAME_CHARS and bool(_NAME.fullmatch(text)) and text not in _WORDS and not numeric


def read_fingerprint(text: str) -> str:
    """A SHA-256 as a person copies it, with colons or without; raises TlsPolicyError."""
    digest = text.strip().replace(":", "").lower()
    if not _DIGEST.fullmatch(digest):
        raise TlsPolicyError(f"{text!r} is no SHA-256: 64 hexadecimal digits, with or without colons")
    return digest


def with_colons(digest: str) -> str:
    """A fingerprint as Postfix writes it."""
    return ":".join(digest[start : start + 2] for start in range(0, len(digest), 2)).upper()


def _problem(policy: TlsPolicy) -> str:
    """What is wrong with it, "" for nothing."""
    level = policy.level
    problem = _bad_values(policy.names, policy.fingerprints)
    if problem:
        pass
    elif policy.names and not level.by_name:
        problem = f"names to match go with verify and secure, not with {level}"
    elif policy.fingerprints and level is not Level.FINGERPRINT:
        problem = f"fingerprints go with the level fingerprint, not with {level}"
    elif level is Level.FINGERPRINT and not policy.fingerprints:
        problem = "the level fingerprint needs at least one"
    elif level is Level.NONE and (policy.least_tls or policy.server_name):
        problem = "the level none is without TLS, so nothing is said of TLS"
    elif policy.server_name and level.by_dns:
        problem = "the name sent to the server is given by DANE (RFC 7672 §8.1)"
    elif policy.trust_anchors and not level.by_name:
        problem = f"CAs go with verify and secure, not with {level}"
    elif policy.trust_anchors and not _FILE.fullmatch(str(policy.trust_anchors)):
        problem = f"the path {str(policy.trust_anchors)!r} has characters that Postfix would part it at"
    return problem


def _bad_values(names: Sequence[str], fingerprints: Sequence[str]) -> str:
    for name in names:
        if not (is_name(name) or _is_ipv4(name)):
            return f"{name!r} is no name that a certificate could have: mx.example.com, or *.example.com for all below"
    for one in fingerprints:
        if not _DIGEST.fullmatch(one):
            return f"{one!r} is no SHA-256"
    if len(names) > MAX_NAMES or len(fingerprints) > MAX_FINGERPRINTS:
        return f"at most {MAX_NAMES} names and {MAX_FINGERPRINTS} fingerprints make sense"
    return ""


def _is_ipv4(text: str) -> bool:
    """An address of a certificate (RFC 9525 §6.2); the colons of an IPv6 address would part it."""
    try:
        return str(IPv4Address(text)) == text
    except ValueError:
        return False


def _dotted(name: str) -> str:
    """Postfix writes `.example.com` for all below."""
    return name.removeprefix("*")
