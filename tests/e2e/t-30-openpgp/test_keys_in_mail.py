"""A partner's mail brings his key: it waits until an administrator trusts it; from then on he gets mail encrypted."""

from __future__ import annotations

from base64 import b64encode

from harness import openssl, pgp_mime
from harness.mail import CANARY, entity, mail
from harness.pgp_mime import encrypted, encrypted_part, mixed
from harness.pgp_site import ANNA, DAY, DORA, KIM, PIA, PgpSite, pgp_people
from harness.waiting import wait_until
from pgp_keys import PgpIdentity, pgp_key

TIM, UMA, VERA = (f"{one}@new.example" for one in ("tim", "uma", "vera"))


def new_key(address: str) -> PgpIdentity:
    return pgp_key(f"<{address}>", at=pgp_people().now - DAY)


def attached(key: PgpIdentity) -> bytes:
    armored = openssl.run("base64", given=key.octets)
    block = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + armored + b"-----END PGP PUBLIC KEY BLOCK-----\n"
    return (
        b'Content-Type: application/pgp-keys; name="key.asc"\r\n'
        b'Content-Disposition: attachment; filename="key.asc"\r\n\r\n' + openssl.crlf(block)
    )


def autocrypt(address: str, key: PgpIdentity) -> bytes:
    return b"Autocrypt: addr=%b; keydata=%b\r\n" % (address.encode(), b64encode(key.octets))


def candidates(alpha: PgpSite, *wanted: PgpIdentity) -> dict[str, dict[str, object]]:
    """By fingerprint, once the worker has moved these out of the journals."""
    names, found = {one.fingerprint for one in wanted}, {}

    def have_come() -> bool:
        found.update({row["fingerprint"]: row for row in alpha.gateway.rows("pgp", "list", "--candidates")})
        return names <= set(found)

    def told() -> str:
        missing = [one.certificate.user_ids[0].text for one in wanted if one.fingerprint not in found]
        return f"{missing} did not come"

    wait_until(have_come, told, every=0.3)
    return found


def test_keys_that_come_with_mail_wait_for_an_administrator(alpha: PgpSite) -> None:
    keys = {one: new_key(one) for one in (TIM, UMA, VERA)}
    by_vera_for_pia = new_key(PIA)
    armored = alpha.partner.encrypt(mixed(entity(), attached(keys[VERA])), ANNA, options=("--armor",))
    for sender, to, made, fields in (
        (TIM, ANNA, mixed(entity(), attached(keys[TIM])), b""),
        (UMA, ANNA, entity(), autocrypt(UMA, keys[UMA])),
        # In what is encrypted as well; one for somebody who has a trusted key; an Autocrypt field about somebody else.
        (
            VERA,
            ANNA,
            encrypted(armored),
            b"",
        ),
        (VERA, DORA, mixed(entity(), attached(by_vera_for_pia)), autocrypt(KIM, new_key(KIM))),
    ):
        alpha.arrive(sender, [to], pgp_mime.mail(sender, to, made, fields=fields))
    alpha.send(ANNA, [TIM], mail(ANNA, TIM))
    assert CANARY in alpha.outside.wait(1)[0].octets

    delivered = {(one.sender, one.recipients): one for one in alpha.inside.wait(4)}
    found = candidates(alpha, *keys.values(), by_vera_for_pia)

    assert found[keys[TIM].fingerprint]["provenance"] == f"mail attached by {TIM}"
    assert found[keys[UMA].fingerprint]["provenance"] == f"mail Autocrypt by {UMA}"
    assert found[by_vera_for_pia.fingerprint]["conflict"]
    assert not found[keys[VERA].fingerprint]["conflict"]
    assert len([one for one in found.values() if KIM in str(one["user_ids"])]) == 1
    # Anna gets the attached key, too; for Dora it is taken out.
    assert b"application/pgp-keys" in delivered[TIM, (ANNA,)].body
    kept = delivered[VERA, (DORA,)]
    assert b"pgp-keys" not in kept.body
    assert CANARY in kept.body

    alpha.gateway.cli("pgp", "trust", keys[TIM].fingerprint)
    alpha.partner.run("--import", given=keys[TIM].secret)
    _soon_encrypted_to(alpha, TIM)


def _soon_encrypted_to(alpha: PgpSite, reader: str) -> None:
    """Workers look for changes each second."""

    def is_encrypted_to() -> bool:
        alpha.clear()
        alpha.send(ANNA, [reader], mail(ANNA, reader))
        return CANARY not in alpha.outside.wait(1)[0].octets

    wait_until(is_encrypted_to, every=0.2)
    [got] = alpha.outside.mails
    found = alpha.partner.read(encrypted_part(got.octets))
    assert CANARY in found.content
    assert found.signers == [pgp_people().anna.fingerprint]
