"""Look at one mail with given keys and certificates: what `mailseal message open` and `protect` are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailseal.mail.header import authors
from mailseal.mail.message import Octets
from mailseal.mail.mime import Entity
from mailseal.mail.outgoing import signable
from mailseal.methods.layer import Opening
from mailseal.pipeline.assemble import assemble, entity_chunks
from mailseal.pipeline.open_path import Opened, open_mail
from mailseal.pipeline.outgoing import blind_fields
from mailseal.policy.model import MethodName, Party
from mailseal.policy.settings import Settings
from mailseal.ports import Certificates
from mailseal.smime.certificate import Certificate, StoredCertificate
from mailseal.smime.crl_issuers import trusted_crls
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.importing import ImportedKeys
from mailseal.smime.message import encrypted_entity, signed_entity
from mailseal.smime.path import validate
from mailseal.smime.revocation import Crl
from mailseal.smime.secret import Secret
from mailseal.smime.sign import SigningIdentity
from mailseal.wiring.memory import CRL_GRACE, MemoryCertificates


@dataclass(frozen=True, slots=True)
class Materials:
    """What the reader brings along. `bundles` hold private keys; `certificates` are known, but not trusted by that."""

    bundles: Sequence[ImportedKeys] = ()
    roots: Sequence[Certificate] = ()
    certificates: Sequence[Certificate] = ()
    crls: Sequence[Crl] = ()


def certificates_of(materials: Materials, at: datetime) -> MemoryCertificates:
    """Judge everything given as of a time; raises CrlError for a CRL that no given CA signed."""
    chains = [one for bundle in materials.bundles for one in bundle.chain]
    pool = [*materials.certificates, *chains]
    revocations = trusted_crls(materials.crls, pool, materials.roots, at, crl_grace=CRL_GRACE)
    stored = {}
    for certificate in materials.certificates:
        verdict = validate(certificate, pool, materials.roots, revocations, at, crl_grace=CRL_GRACE)
        stored[certificate.fingerprint] = StoredCertificate(certificate, verdict)
    keys = {}
    for bundle in materials.bundles:
        for certificate, key in bundle.keys:
            verdict = validate(certificate, pool, materials.roots, revocations, at, crl_grace=CRL_GRACE)
            stored[certificate.fingerprint] = StoredCertificate(certificate, verdict, has_key=True)
            keys[certificate.spki_sha256] = key
    return MemoryCertificates(materials.roots, revocations, stored, keys, [one for one in pool if one.is_ca])


def all_keys(certificates: MemoryCertificates) -> dict[MethodName, tuple[str, ...]]:
    """Everything given that has a key, as what a reader holds."""
    return {MethodName.SMIME: tuple(one.certificate.fingerprint for one in certificates.with_key())}


def open_one(
    root: Entity,
    certificates: Certificates,
    held: Mapping[MethodName, tuple[str, ...]],
    settings: Settings,
    at: datetime,
    secrets: Sequence[Secret] = (),
) -> Opened:
    """Open one mail with these keys, or with passwords and keys agreed beforehand."""
    party = Party(None, internal=True, settings=settings)
    return open_mail(root, Opening(party, held, certificates, at, authors(root), secrets=secrets))


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
