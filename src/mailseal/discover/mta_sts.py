"""MTA-STS: what a domain says of TLS to its mail exchangers, by TXT record and over HTTPS (RFC 8461 §3).

_mta-sts.example.com. TXT "v=STSv1; id=20260301T000000"
https://mta-sts.example.com/.well-known/mta-sts.txt
"""

import re
from collections.abc import Sequence
from http import HTTPStatus

from mailseal.discover.dns import Dns, NoAnswerError
from mailseal.discover.fetch import Fetcher
from mailseal.errors import TransientError
from mailseal.postfix.tls_choice import StsMode, StsPolicy
from mailseal.postfix.tls_policy import is_name

MAX_POLICY_BYTES = 64 * 1024
MAX_LINES = 1000
MAX_NAMES = 100
MAX_AGE_SECONDS = 31_557_600
"""A year: the most that a policy may say (§3.2)."""

_VERSION = "v=STSv1;"
_RECORD = re.compile(
    r"v=STSv1(?:[ \t]*;[ \t]*[A-Za-z0-9][A-Za-z0-9_.\-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+)+[ \t]*;?[ \t]*"
)
_FIELD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,31}")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_MAX_AGE = re.compile(r"[0-9]{1,10}")


class StsError(TransientError):
    """The domain has a record, and nothing of its web server can be used as a policy. The text says why."""


def record_name(domain: str) -> str:
    """Where a domain says that it has a policy."""
    return f"_mta-sts.{domain}"


def policy_url(domain: str) -> str:
    """Where the policy is."""
    return f"https://mta-sts.{domain}/.well-known/mta-sts.txt"


def published_id(dns: Dns, domain: str) -> str | None:
    """The id of the policy that a domain says to have; None: it has none. Raises DnsUnavailableError."""
    try:
        return read_record(dns.txt(record_name(domain)).records)
    except NoAnswerError:
        return None


def fetch_policy(fetcher: Fetcher, domain: str) -> StsPolicy:
    """The policy of a domain; raises FetchError, StsError. The fetcher must follow no redirect (§3.3)."""
    answer = fetcher.get(policy_url(domain))
    if answer.status != HTTPStatus.OK:
        raise StsError(f"mta-sts.{domain} answers with status {answer.status}")
    if answer.media_type != "text/plain":
        raise StsError(f"mta-sts.{domain} answers with something else than text/plain")
    return read_policy(answer.body)


def read_record(texts: Sequence[str]) -> str | None:
    """The id in TXT records; None where they come to no policy: none, several, or one that is malformed (§3.1)."""
    ours = [text for text in texts if text.startswith(_VERSION)]
    if len(ours) != 1 or not _RECORD.fullmatch(ours[0]):
        return None
    fields = [one.strip() for one in ours[0].split(";")[1:]]
    found = next((one.removeprefix("id=") for one in fields if one.startswith("id=")), "")
    return found if _ID.fullmatch(found) else None


def read_policy(octets: bytes) -> StsPolicy:
    """A policy file (§3.2); raises StsError. Of a field that comes twice the first counts; unknown ones are allowed."""
    fields = _fields(octets)
    first = {name: values[0] for name, values in fields.items()}
    if first.get("version") != "STSv1":
        raise StsError("the policy is not of version STSv1")
    try:
        mode = StsMode(first.get("mode") or "?")
    except ValueError:
        raise StsError("the policy has no mode that is known") from None
    max_age = first.get("max_age", "")
    if not _MAX_AGE.fullmatch(max_age):
        raise StsError("the policy has no max_age")
    names = tuple(dict.fromkeys(name.lower() for name in fields.get("mx", ())))
    if not all(map(is_name, names)) or len(names) > MAX_NAMES:
        raise StsError("the policy has an mx that is no name")
    if not names and mode is not StsMode.NONE:
        raise StsError("the policy names no mx")
    return StsPolicy(mode, names, min(int(max_age), MAX_AGE_SECONDS))


def _fields(octets: bytes) -> dict[str, list[str]]:
    if len(octets) > MAX_POLICY_BYTES:
        raise StsError("the policy is too long")
    try:
        lines = octets.decode().replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        raise StsError("the policy is no text") from None
    if len(lines) > MAX_LINES:
        raise StsError("the policy has too many lines")
    fields: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon and not name.strip(" \t"):
            continue
        value = value.strip(" \t")
        if not colon or not _FIELD_NAME.fullmatch(name) or not value.isprintable():
            raise StsError("the policy has a line that is no field")
        fields.setdefault(name, []).append(value)
    return fields
