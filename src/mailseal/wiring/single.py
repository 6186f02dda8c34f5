"""Look at one mail with given keys and certificates: what `mailseal message open` and `protect` are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mailseal.errors import PermanentError
from mailseal.keys import PrivateKey
from mailseal.mail.address import Address
from mailseal.mail.header import authors
from mailseal.mail.message import Octets
from mailseal.mail.mime import Entity
from mailseal.mail.outgoing import signable
from mailseal.methods.layer import Opening
from mailseal.methods.made import Made, Signed
from mailseal.methods.openpgp_write import SigningKey, encrypted, shape_for, signed
from mailseal.openpgp.certificate import PgpTrust, StoredPgpCertificate
from mailseal.openpgp.importing import Transferable
from mailseal.openpgp.select import signing_component, why_not_encrypt, why_not_sign
from mailseal.pipeline.assemble import assemble, entity_chunks
from mailseal.pipeline.open_path import Opened, held_by, open_mail
from mailseal.pipeline.outgoing import blind_fields
from mailseal.policy.model import MethodName, Party
from mailseal.policy.reason import Reason
from mailseal.policy.settings import Settings
from mailseal.policy.text import render
from mailseal.ports import Certificates, Gateway, PgpCertificates
from mailseal.smime.certificate import Certificate, StoredCertificate
from mailseal.smime.crl_issuers import trusted_crls
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.importing import ImportedKeys
from mailseal.smime.message import encrypted_entity, signed_entity
from mailseal.smime.path import validate
from mailseal.smime.revocation import Crl
from mailseal.smime.secret import Secret
from mailseal.smime.sign import SigningIdentity
from mailseal.wiring.memory import CRL_GRACE, MemoryCertificates, MemoryPgpCertificates


@dataclass(frozen=True, slots=True)
class Materials:
    """What the reader brings along. `bundles` hold private keys; `certificates` are known, but not trusted by that.

    `pgp`: OpenPGP certificates that he vouches for, with secret keys or without.
    """

    bundles: Sequence[ImportedKeys] = ()
    roots: Sequence[Certificate] = ()
    certificates: Sequence[Certificate] = ()
    crls: Sequence[Crl] = ()
    pgp: Sequence[Transferable] = ()


def certificates_of(materials: Materials, at: datetime) -> MemoryCertificates:
    """Judge everything given as of a time; raises CrlError for a CRL that no given CA signed."""
    chains = [one for bundle in materials.bundles for one in bundle.chain]
    pool = [*materials.certificates, *chains]
    revocations = trusted_crls(materials.crls, pool, materials.roots, at, crl_grace=CRL_GRACE)
    stored = {}
    for certificate in materials.certificates:
        verdict = validate(certificate, pool, materials.roots, revocations, at, crl_grace=CRL_GRACE)
        stored[certificate.fingerprint] = StoredCertificate(certificate, verdict)
    keys: dict[str, PrivateKey] = {}
    for bundle in materials.bundles:
        for certificate, key in bundle.keys:
            verdict = validate(certificate, pool, materials.roots, revocations, at, crl_grace=CRL_GRACE)
            stored[certificate.fingerprint] = StoredCertificate(certificate, verdict, has_key=True)
            keys[certificate.spki_sha256] = key
    keys |= {public.spki_sha256: key for one in materials.pgp for public, key in one.keys}
    return MemoryCertificates(materials.roots, revocations, stored, keys, [one for one in pool if one.is_ca])


@dataclass(frozen=True, slots=True)
class Known:
    """What a mail is opened with. `held`: the fingerprints of the keys that the reader has, by method."""

    certificates: Certificates
    pgp: PgpCertificates
    held: Mapping[MethodName, tuple[str, ...]] = field(default_factory=dict)


def known_from(materials: Materials, at: datetime) -> Known:
    """Everything given, all keys the reader's; raises CrlError for a CRL that no given CA signed."""
    certificates = certificates_of(materials, at)
    pgp = MemoryPgpCertificates({one.certificate.fingerprint: stored_pgp(one) for one in materials.pgp})
    held = {
        MethodName.SMIME: tuple(one.certificate.fingerprint for one in certificates.with_key()),
        MethodName.PGP: tuple(one.certificate.fingerprint for one in pgp.with_key()),
    }
    return Known(certificates, pgp, held)


def known_by(gateway: Gateway, reader: Address) -> Known:
    """What the gateway opens a reader's mail with."""
    return Known(gateway.certificates, gateway.pgp, held_by(gateway, reader))


def stored_pgp(given: Transferable) -> StoredPgpCertificate:
    """A certificate as its owner vouches for it, with the secret keys that came along."""
    keys = frozenset(public.fingerprint for public, _ in given.keys)
    return StoredPgpCertificate(given.certificate, PgpTrust.TRUSTED, has_key=bool(keys), keys=keys)


def open_one(root: Entity, known: Known, settings: Settings, at: datetime, secrets: Sequence[Secret] = ()) -> Opened:
    """Open one mail with these keys, or with passwords and keys agreed beforehand."""
    party = Party(None, internal=True, settings=settings)
    opening = Opening(party, known.held, known.certificates, known.pgp, at, authors(root), secrets=secrets)
    return open_mail(root, opening)


def protect_one(
    root: Entity,
    recipients: Sequence[Certificate],
    identity: SigningIdentity | None,
    *,
    encryption: EncryptionForm,
    signature: SignatureForm,
    at: datetime,
) -> tuple[Octets, ...]:
    """Sign if there is an identity, encrypt if there are recipients."""
    entity: list[Octets] = entity_chunks(root)
    if identity is not None:
        entity = list(signed_entity(signable(root), identity, signature, at))
    if recipients:
        entity = list(encrypted_entity(entity, recipients, encryption))
    return assemble(root, remove=blind_fields(root), entity=entity)


def protect_one_by_pgp(
    root: Entity,
    recipients: Sequence[Transferable],
    signer: Transferable | None,
    settings: Settings,
    at: datetime,
) -> tuple[Octets, ...]:
    """Sign if there is a signer, encrypt if there are recipients; raises PermanentError when a key cannot."""
    to = [_chosen(one) for one in recipients]
    for one in to:
        _raise(why_not_encrypt(one, None, at))
    what: Sequence[Octets] | Signed = entity_chunks(root)
    made: Made | None = None
    if signer is not None:
        readers = [one.certificate.fingerprint for one in to]
        made = what = signed(signable(root), _signing_key(signer, at), shape_for(settings.pgp_format, readers), at)
    if to:
        made = encrypted(what, to, settings, at)
    return assemble(root, remove=blind_fields(root), entity=None if made is None else made.entity)


def _chosen(given: Transferable) -> StoredPgpCertificate:
    """As chosen by hand: no address has to fit."""
    return replace(stored_pgp(given), selected=True)


def _signing_key(signer: Transferable, at: datetime) -> SigningKey:
    stored = _chosen(signer)
    _raise(why_not_sign(stored, None, at))
    component = signing_component(stored, at)
    keys = {public.fingerprint: private for public, private in signer.keys}
    if component is None:
        raise PermanentError("the key cannot sign")
    return SigningKey(component.public, keys[component.fingerprint])


def _raise(reason: Reason | None) -> None:
    if reason is not None:
        raise PermanentError(render(reason))
