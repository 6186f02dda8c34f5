"""Who signed, as a layer reports it: Sequoia's policy on the signature, our trust in the key, the person in From."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mailseal.mail.encoded_word import one_line
from mailseal.mail.message import Octets
from mailseal.methods.layer import Layer, Opening, SignerReport
from mailseal.openpgp.certificate import PgpCertificate, PgpTrust, StoredPgpCertificate
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.mime import LayerKind
from mailseal.openpgp.select import addresses_of, speaks_for, why_not_trust_signer
from mailseal.openpgp.validity import live_user_ids, primary_user_id
from mailseal.openpgp.verify import SignatureCheck, check_signatures, split_signatures
from mailseal.policy.reason import Reason, ReasonCode, because

MAX_USER_IDS = 10
MAX_USER_ID_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Claim:
    """A content, and the packets of the signatures that are said to be over it; without any it is not signed."""

    content: Octets = field(repr=False)
    signatures: bytes = field(repr=False)


def signed_layer(
    claims: Sequence[Claim], opening: Opening, depth: int, *, part: str = "", read_by: str | None = None
) -> Layer:
    """The layer of these signatures; good only if each content is signed, and every signature on it is good.

    `read_by`: the fingerprint of the certificate by whose key the content was decrypted.
    """
    known = _Known(opening)
    try:
        checks = [check for claim in claims for check in _checked(claim, known, opening)]
    except PgpError as error:
        return Layer(LayerKind.SIGNED.value, depth, part, ok=False, reason=because(error.reason))
    signers = tuple(dict.fromkeys(_report(one, known, opening, read_by) for one in checks))
    covers = all(claim.signatures for claim in claims)
    reason = next((one.reason for one in signers if one.reason), None)
    if not signers:
        reason = because(ReasonCode.NO_SIGNERS)
    elif not covers:
        reason = reason or because(ReasonCode.NOT_WHOLE_MESSAGE)
    return Layer(
        LayerKind.SIGNED.value,
        depth,
        part,
        ok=bool(signers) and all(one.verified for one in signers),
        reason=reason,
        algorithm=", ".join(dict.fromkeys(f"{one.algorithm} {one.digest}" for one in checks)),
        signers=signers,
        covers=covers,
    )


def _checked(claim: Claim, known: "_Known", opening: Opening) -> tuple[SignatureCheck, ...]:
    if not claim.signatures:
        return ()
    bodies = split_signatures(claim.signatures)
    return check_signatures(claim.content, bodies, known.candidates, opening.at, opening.work)


class _Known:
    """The stored certificates that were found for the signatures of one layer. `sender`: the one in From, or None."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._found: dict[str, StoredPgpCertificate] = {}
        self.sender = opening.senders[0] if len(opening.senders) == 1 else None

    def candidates(self, issuer: str) -> Sequence[PgpCertificate]:
        found = self._opening.pgp.by_issuer(issuer)
        self._found |= {one.certificate.fingerprint: one for one in found}
        return [one.certificate for one in found]

    def stored(self, fingerprint: str, *, good: bool) -> StoredPgpCertificate:
        """One of them; of a good signature as it is stored for the sender, if it is his: chosen by hand, published.

        What the sender's domain publishes for him has its word for him only, whomever else it names.
        """
        his = self._opening.pgp.of_recipient(self.sender) if good and self.sender is not None else ()
        one = next((one for one in his if one.certificate.fingerprint == fingerprint), self._found[fingerprint])
        if one.own_domain and one.trust is PgpTrust.CANDIDATE and one.certified is None:
            names = (name for name in one.certificate.user_ids if name.address == self.sender)
            return replace(one, certified=frozenset(name.text for name in names))
        return one


def _report(check: SignatureCheck, known: _Known, opening: Opening, read_by: str | None) -> SignerReport:
    if check.certificate is None:
        return SignerReport(
            (), "", check.issuer, verified=False, trusted=False, matches_from=False, signing_time=check.created,
            reason=because(check.reason or ReasonCode.SIGNER_KEY_UNKNOWN),
        )  # fmt: skip
    fingerprint = check.certificate.fingerprint
    good = check.verified and check.reason is None
    stored = known.stored(fingerprint, good=good)
    distrust = _distrust(check, stored, opening, read_by) if good else None
    matches = known.sender is not None and (stored.selected or speaks_for(stored, known.sender, opening.at))
    reason = because(check.reason) if check.reason else distrust
    if reason is None and not matches:
        several = len(opening.senders) > 1
        reason = because(ReasonCode.MANY_FROM if several else ReasonCode.SIGNER_NOT_FROM)
    primary = primary_user_id(check.certificate, opening.at)
    return SignerReport(
        tuple(map(str, sorted(addresses_of(stored, opening.at), key=lambda one: one != known.sender))),
        _shown(primary.text) if primary is not None else "",
        fingerprint,
        verified=check.verified,
        trusted=good and distrust is None,
        matches_from=matches,
        signing_time=check.created,
        reason=reason,
        user_ids=tuple(_shown(one.text) for one in live_user_ids(check.certificate, opening.at)[:MAX_USER_IDS]),
    )


def _distrust(
    check: SignatureCheck, stored: StoredPgpCertificate, opening: Opening, read_by: str | None
) -> Reason | None:
    if read_by is not None and check.recipients and read_by not in check.recipients:
        # Somebody for whom it was made has encrypted it anew to us (RFC 9580 §5.2.3.36).
        return because(ReasonCode.SIGNATURE_FOR_OTHERS)
    return why_not_trust_signer(stored, opening.at, trust_wkd=opening.party.settings.pgp_trust_wkd)


def _shown(text: str) -> str:
    return one_line(text)[:MAX_USER_ID_CHARACTERS]
