"""A certificate from a CA by ACME with the HTTP challenge (RFC 8555): `acme`'s protocol over our bounded fetcher."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

from acme import challenges, errors, messages
from acme.client import ClientNetwork, ClientV2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from josepy.errors import Error as JoseError
from josepy.jwa import ES256
from josepy.jwk import JWK, JWKEC
from requests import Response
from requests.structures import CaseInsensitiveDict

from mailseal.discover.fetch import Fetcher
from mailseal.errors import TransientError

ISSUING_SECONDS = 120
MAX_TEXT_CHARS = 300

logging.getLogger("acme").setLevel(logging.WARNING)  # what is sent is nobody's to read

Publish = Callable[[str, str], None]
"""Has the CA find an answer under a token."""


class AcmeError(TransientError):
    """The CA refuses, cannot reach us, or says nothing that can be used. Holds what it said, for administrators."""


@dataclass(frozen=True, slots=True)
class Issued:
    """What the CA has made. `account_uri`: by which it knows our account."""

    chain_pem: bytes
    account_uri: str


def obtain(
    directory: str,
    account_key: bytes,
    account_uri: str,
    contact: str,
    csr_pem: bytes,
    *,
    fetcher: Fetcher,
    publish: Publish,
) -> Issued:
    """Ask for one certificate and wait until it is there, two minutes at most. Raises AcmeError, FetchError.

    `account_key`: PEM, on P-256. `account_uri`: "" if the CA does not know it yet; using it agrees to the CA's terms.
    """
    try:
        client, uri = _client(directory, account_key, account_uri, contact, fetcher)
        order = client.new_order(csr_pem)
        for authorization in order.authorizations:
            _answer(client, authorization, publish)
        done = client.poll_and_finalize(order, _naive_deadline())
    except messages.Error as error:
        raise AcmeError(_shown(f"the CA refuses: {error.detail or error.title or error.code}")) from None
    except errors.ValidationError as error:
        raise AcmeError(_shown(f"the CA could not see that the names are ours: {_why(error)}")) from None
    except errors.TimeoutError:
        raise AcmeError(f"the CA did not issue within {ISSUING_SECONDS} seconds") from None
    except (errors.Error, JoseError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise AcmeError(f"the CA says what cannot be used ({type(error).__name__})") from None
    return Issued(str(done.fullchain_pem).encode(), uri)


def _client(directory: str, account_key: bytes, uri: str, contact: str, fetcher: Fetcher) -> tuple[ClientV2, str]:
    key = load_pem_private_key(account_key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    network = _Network(JWKEC(key=key), fetcher)
    client = ClientV2(ClientV2.get_directory(directory, network), network)
    if uri:
        network.account = messages.RegistrationResource(uri=uri, body=messages.Registration())
        return client, uri
    told = messages.NewRegistration.from_data(email=contact or None, terms_of_service_agreed=True)
    try:
        made = client.new_account(told)
    except errors.ConflictError as known:  # an earlier attempt that was cut off
        network.account = messages.RegistrationResource(uri=known.location, body=messages.Registration())
        return client, str(known.location)
    return client, str(made.uri)


def _answer(client: ClientV2, authorization: messages.AuthorizationResource, publish: Publish) -> None:
    if authorization.body.status == messages.STATUS_VALID:
        return
    for one in authorization.body.challenges:
        if isinstance(one.chall, challenges.HTTP01):
            response, validation = one.response_and_validation(client.net.key)
            publish(one.chall.encode("token"), str(validation))
            client.answer_challenge(one, response)
            return
    raise AcmeError("the CA offers no HTTP challenge (RFC 8555, section 8.3)")


class _Network(ClientNetwork):
    """`acme`'s network, but each request is the fetcher's: bounded in time and size, no redirects, public addresses."""

    def __init__(self, key: JWK, fetcher: Fetcher) -> None:
        super().__init__(key, alg=ES256)
        self._fetcher = fetcher

    def _send_request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:  # noqa: ARG002 -- its signature
        data = kwargs.get("data")
        body = data.encode() if isinstance(data, str) else data
        answer = self._fetcher.call(method, url, body, kwargs.get("headers"))
        response = Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict(answer.fields)
        response.raw = BytesIO(answer.body)
        response.encoding = "utf-8"
        response.url = url
        return response


def _naive_deadline() -> datetime:
    """As `acme` compares it: in local time without a zone."""
    return datetime.now() + timedelta(seconds=ISSUING_SECONDS)  # noqa: DTZ005 -- the library's own clock


def _why(error: errors.ValidationError) -> str:
    told = [
        f"{one.body.identifier.value}: {challenge.error.detail}"
        for one in error.failed_authzrs
        for challenge in one.body.challenges
        if challenge.error is not None
    ]
    return "; ".join(told)


def _shown(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text)[:MAX_TEXT_CHARS]
