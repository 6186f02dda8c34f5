"""Seal a mail that was changed: one more set for its chain (RFC 8617 §5.1)."""

from datetime import datetime

from mailseal.dkim.algorithms import sign_octets
from mailseal.dkim.arc import MAX_SETS, Chain, ChainState, sealed_octets
from mailseal.dkim.canon import Canon, header_field
from mailseal.dkim.fields import Mail
from mailseal.dkim.sign import RELAXED, DkimKey, names_to_sign, signed_field, with_value


def may_seal(chain: Chain) -> bool:
    """Whether a chain can be gone on with: not one that is over or full, nor one of which the DNS could not say."""
    return not chain.over and chain.state is not ChainState.TEMPERROR and chain.highest < MAX_SETS


def seal(mail: Mail, chain: Chain, results: str, key: DkimKey, at: datetime) -> list[bytes]:
    """The fields of the next set, in the order in which they are put before the mail: seal, signature, results.

    `mail` as it is sent on, `chain` of the mail as it came, `results` what was found of it: printable ASCII of one
    line or folded. Raises KeyUnusableError, SigningError.
    """
    number = chain.highest + 1
    found = f"ARC-Authentication-Results: i={number}; {results}\r\n".encode("ascii")
    names = names_to_sign(mail, also=("DKIM-Signature",))
    signature = signed_field("ARC-Message-Signature", f"i={number}; ", mail, key, names, at, RELAXED)
    unsigned = (
        f"ARC-Seal: i={number}; a={key.algorithm}; cv={chain.state};\r\n"
        f"\td={key.domain};\r\n\ts={key.selector}; t={int(at.timestamp())};\r\n\tb="
    ).encode("ascii")
    octets = _before(chain) + sealed_octets(found, signature, unsigned)
    return [with_value(unsigned, sign_octets(octets, key.key)), signature, found]


def _before(chain: Chain) -> bytes:
    """The sets before, canonical. The seal of a failed chain covers nothing of it (§5.1.2)."""
    if chain.state is not ChainState.PASS:
        return b""
    return b"".join(header_field(field.raw, Canon.RELAXED) for one in chain.sets for field in one.fields)
