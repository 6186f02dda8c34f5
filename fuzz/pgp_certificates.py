"""Fuzz what reads OpenPGP certificates and signatures: `python fuzz/pgp_certificates.py [--seconds N]`.

Prints the count of inputs. Starts from real structures. Anything raised but PgpError, or a certificate that reads
otherwise the second time, stops the run with the input that did it.
"""

import contextlib
import sys
from pathlib import Path

import atheris
from driver import fuzz

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

with atheris.instrument_imports(include=["mailseal.openpgp"]):
    import pgp_craft as craft
    from mailseal.openpgp import edit, self_signatures
    from mailseal.openpgp.certificate import PgpTrust, StoredPgpCertificate, read_certificate
    from mailseal.openpgp.component import KeyFlags
    from mailseal.openpgp.errors import PgpError
    from mailseal.openpgp.select import addresses_of, encryption_components, why_not_encrypt, why_not_sign
    from mailseal.openpgp.sign import sign_document
    from mailseal.openpgp.verify import check_signatures, split_signatures
    from pki import NOW

CONTENT = b"Dear Berta,\r\n"
OWNERS = [craft.key(kind, version=version) for kind, version in (("ed25519", 4), ("p256", 4), ("ed25519", 6))]

# Else no change of a certificate would ever be bound, and Sequoia would see none.
self_signatures.verify_signature = lambda *_: None


def whole(owner):
    sub, signing = craft.key("cv25519", version=owner.public.version), craft.key(version=owner.public.version)
    return craft.certificate(
        owner,
        craft.revoke(owner, craft.reason(1), at=NOW),
        craft.direct(owner, craft.flags(3), craft.expires(craft.DAY)),
        craft.user_id(owner, "Anna <anna@example.com>", craft.flags(3), craft.PRIMARY),
        craft.revoke_user_id(owner, "Anna <anna@example.com>", craft.reason(32)),
        craft.user_id(owner, "b@example.com"),
        craft.subkey(owner, sub, craft.ENCRYPT),
        craft.subkey(owner, signing, KeyFlags.SIGN),
        craft.revoke_subkey(owner, signing),
    )


CERTIFICATES = [read_certificate(whole(one)) for one in OWNERS]


def seeds():
    found = {f"certificate-{number}": one.octets for number, one in enumerate(CERTIFICATES)}
    for number, one in enumerate(OWNERS):
        found[f"signature-{number}"] = sign_document(one.private, one.public, CONTENT, at=NOW)
        found[f"least-{number}"] = craft.certificate(one, craft.user_id(one, "a@example.com"))
    return found


def one_input(octets):
    with contextlib.suppress(PgpError):
        check_signatures(CONTENT, split_signatures(octets), lambda _: CERTIFICATES, NOW)
    try:
        found = read_certificate(octets, CERTIFICATES)
    except PgpError:
        return
    if read_certificate(found.octets, CERTIFICATES) != found:
        raise AssertionError
    stored = StoredPgpCertificate(found, PgpTrust.TRUSTED, has_key=True, selected=True)
    why_not_encrypt(stored, None, NOW)
    why_not_sign(stored, None, NOW)
    encryption_components(stored, NOW)
    addresses_of(stored, NOW)
    if edit.merge(found.octets, octets) != edit.merge(found.octets, found.octets):
        raise AssertionError


if __name__ == "__main__":
    fuzz("pgp_certificates", __doc__, one_input, seeds())
