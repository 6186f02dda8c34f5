"""What can still be said of a mail's DKIM signatures and its ARC chain before the gateway changes it (RFC 8601, 8617).

Only mail that is about to be changed is looked at: what passes untouched keeps its signatures, and its readers check
them themselves. The octets that came are what is checked; the DNS is asked for a few seconds at most, and its silence
is a result like any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mailseal.dkim.algorithms import Algorithm
from mailseal.dkim.arc import Chain, validate
from mailseal.dkim.fields import Mail
from mailseal.dkim.results import Results, arc_text, believed, claims, dkim_texts, joined
from mailseal.dkim.seal import may_seal, seal
from mailseal.dkim.sign import DkimKey
from mailseal.dkim.verify import FindTexts, Verdict, verify
from mailseal.errors import PermanentError, TransientError
from mailseal.mail.envelope import Origin
from mailseal.mail.message import Octets
from mailseal.mail.mime import HeaderField
from mailseal.pipeline.copy import Copy
from mailseal.pipeline.domain_signature import keys_for
from mailseal.pipeline.run import Run
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.settings import Settings
from mailseal.ports import Authentication

LOOK_UP_SECONDS = 5.0
"""For all keys of a mail together."""
MAX_LOOK_UPS = 20


@dataclass(frozen=True, slots=True)
class Checked:
    """The signatures of a mail as it came, its chain, and the results that others have found and that are believed."""

    verdicts: tuple[Verdict, ...]
    chain: Chain
    believed: tuple[Results, ...]

    @property
    def own(self) -> list[str]:
        """What was found here."""
        return [*dkim_texts(self.verdicts), arc_text(self.chain)]

    @property
    def all(self) -> list[str]:
        """What others have found, and of the methods that they say nothing of, what was found here."""
        methods = {method for one in self.believed for method in one.methods}
        texts = [text for one in self.believed for text in one.texts]
        if "dkim" not in methods:
            texts += dkim_texts(self.verdicts)
        if "arc" not in methods:
            texts.append(arc_text(self.chain))
        return texts

    @property
    def details(self) -> tuple[tuple[str, str], ...]:
        """As the log shows it."""
        signers = [("dkim", f"{one.domain} {one.result}".strip()) for one in self.verdicts]
        return (*signers, ("arc", str(self.chain.state)))


class Authenticity:
    """Of one mail: checked once, when the first of its copies is to be changed."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._checked: Checked | None = None
        self._believed: tuple[tuple[HeaderField, Results], ...] = ()
        if run.gateway.authentication is not None:
            self._believed = tuple(believed(run.root, run.gateway.authentication.believed))

    def forged(self) -> list[HeaderField]:
        """The fields that some reader would take for results of this gateway, but for those that are believed."""
        authentication = self._run.gateway.authentication
        if authentication is None:
            return []
        ours = {authentication.authserv_id}
        kept = {field for field, _ in self._believed}
        buffer = self._run.root.buffer
        return [one for one in self._run.root.fields if one not in kept and claims(one.raw(buffer), ours)]

    def stamped(self, copy: Copy, settings: Settings, domains: Sequence[str]) -> Copy:
        """A changed copy for readers of these domains, with what was found of the mail before; perhaps sealed.

        Raises TransientError: a key that is not at hand now.
        """
        authentication = self._run.gateway.authentication
        outside = self._run.envelope.origin is Origin.OUTSIDE
        if authentication is None or not outside or not settings.authentication_results:
            return copy
        checked = self._check(authentication)
        field = f"Authentication-Results: {joined(authentication.authserv_id, checked.own)}\r\n".encode("ascii")
        copy = replace(copy, chunks=(field, *copy.chunks), details=(*copy.details, *checked.details))
        if not settings.arc_seal or not may_seal(checked.chain):
            return copy
        key = self._sealing_key(authentication, domains)
        return copy if key is None else self._sealed(copy, checked, authentication.authserv_id, key)

    def _check(self, authentication: Authentication) -> Checked:
        if self._checked is None:
            run = self._run
            mail = Mail.of_entity(run.root)
            texts = find_texts(run, authentication)
            verdicts = verify(mail, texts, run.at)
            chain = validate(mail, texts, run.at)
            self._checked = Checked(verdicts, chain, tuple(results for _, results in self._believed))
        return self._checked

    def _sealing_key(self, authentication: Authentication, domains: Sequence[str]) -> DkimKey | None:
        """Of the one domain of the readers, else of this gateway: that of one reader would tell another about him."""
        own = set(domains)
        wanted = [*own, self._run.gateway.hostname] if len(own) == 1 else [self._run.gateway.hostname]
        for domain in wanted:
            if found := keys_for(authentication.keys, domain):
                return next((one for one in found if one.algorithm is Algorithm.RSA_SHA256), found[0])
        return None

    def _sealed(self, copy: Copy, checked: Checked, authserv_id: str, key: DkimKey) -> Copy:
        at: datetime = self._run.at
        try:
            mail = Mail.of_chunks(copy.chunks)
            fields = seal(mail, checked.chain, joined(authserv_id, checked.all), key, at)
        except PermanentError as error:
            return replace(copy, reasons=(*copy.reasons, because(ReasonCode.ARC_NOT_SEALED, detail=error)))
        chunks: tuple[Octets, ...] = (b"".join(fields), *copy.chunks)
        return replace(copy, chunks=chunks, details=(*copy.details, ("arc-seal", f"{key.domain} {key.selector}")))


def find_texts(run: Run, authentication: Authentication) -> FindTexts:
    """The key records that a mail's signatures need, asked for within the bounds of one mail."""
    return _Texts(authentication, min(run.deadline, run.gateway.clock.monotonic() + LOOK_UP_SECONDS))


class _Texts:
    """The TXT records of a mail's keys: each name is asked for once, so many names, until the deadline."""

    def __init__(self, authentication: Authentication, deadline: float) -> None:
        self._keys = authentication.keys
        self._deadline = deadline
        self._known: dict[str, Sequence[str] | None] = {}

    def __call__(self, name: str) -> Sequence[str]:
        if name not in self._known:
            self._known[name] = self._ask(name)
        found = self._known[name]
        if found is None:
            raise TransientError("the DNS cannot say now")
        return found

    def _ask(self, name: str) -> Sequence[str] | None:
        if len(self._known) >= MAX_LOOK_UPS:
            return None
        try:
            return self._keys.txt(name, self._deadline)
        except TransientError:
            return None
