"""Key servers: VKS, which shows only addresses that their owners have confirmed, and HKP (draft-gallagher-openpgp-hkp).

Both over HTTPS alone. VKS: `https://host`; HKP: `hkps://host`.
"""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from urllib.parse import quote, urlencode, urlsplit

from mailseal.discover.fetch import Answer, Fetcher, FetchError
from mailseal.discover.key_source import answered
from mailseal.mail.address import Address


class Vks:
    """A verifying key server, such as Hagrid (its API, version 1)."""

    def __init__(self, fetcher: Fetcher, base: str) -> None:
        self._fetcher = fetcher
        self._base = base
        self.name = f"vks:{urlsplit(base).netloc}"

    def keys_of(self, address: Address) -> bytes:
        """As of KeySource; the server gives at most one certificate."""
        url = f"{self._base}/vks/v1/by-email/{quote(str(address), safe='')}"
        return answered(self._fetcher.get(url, any_port=True))

    def publish(self, armored: str, addresses: Sequence[Address]) -> str:
        """Upload a certificate and have the server ask the addresses; what happens next. Raises FetchError."""
        uploaded = self._post("/vks/v1/upload", {"keytext": armored})
        waiting = [str(one) for one in addresses if uploaded["status"].get(str(one)) in ("unpublished", "pending")]
        if not waiting:
            return "published"
        self._post("/vks/v1/request-verify", {"token": uploaded["token"], "addresses": waiting})
        return f"the server has sent a mail to {', '.join(waiting)}: its link publishes the key under that address"

    def _post(self, path: str, request: Mapping[str, object]) -> dict[str, dict[str, str]]:
        url = self._base + path
        answer = self._fetcher.post(url, json.dumps(request).encode(), "application/json", any_port=True)
        _require_ok(answer)
        try:
            read = json.loads(answer.body)
        except (ValueError, RecursionError):
            read = None
        if not isinstance(read, dict) or not isinstance(read.get("status"), dict) or "token" not in read:
            raise FetchError(f"{urlsplit(url).hostname} answers with something else than VKS does")
        return read


class Hkp:
    """A key server of the older kind: anybody may have uploaded anything."""

    def __init__(self, fetcher: Fetcher, base: str) -> None:
        self._fetcher = fetcher
        self._base = base
        self.name = f"hkp:{urlsplit(base).netloc}"

    def keys_of(self, address: Address) -> bytes:
        """As of KeySource."""
        query = urlencode({"op": "get", "options": "mr", "exact": "on", "search": str(address)})
        return answered(self._fetcher.get(f"{self._base}/pks/lookup?{query}", any_port=True))

    def publish(self, armored: str, addresses: Sequence[Address]) -> str:  # noqa: ARG002 -- asks nobody
        """Upload a certificate; what happens next. Raises FetchError."""
        body = urlencode({"keytext": armored}).encode()
        form = "application/x-www-form-urlencoded"
        _require_ok(self._fetcher.post(f"{self._base}/pks/add", body, form, any_port=True))
        return "published"


KeyServer = Vks | Hkp


def key_server(fetcher: Fetcher, url: str) -> KeyServer:
    """The server of a URL of the configuration: `https://…` or `hkps://…`, as checked there."""
    base = url.rstrip("/")
    if base.startswith("hkps://"):
        return Hkp(fetcher, "https://" + base.removeprefix("hkps://"))
    return Vks(fetcher, base)


def _require_ok(answer: Answer) -> None:
    if answer.status not in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
        raise FetchError(f"{urlsplit(answer.url).hostname} does not take it: status {answer.status}")
