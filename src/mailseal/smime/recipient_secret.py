"""Recipients without certificates: KEKRecipientInfo (RFC 5652 §6.2.3) and PasswordRecipientInfo (§6.2.4, RFC 3211)."""

from dataclasses import dataclass, field

from mailseal.keys import PrivateKey
from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms, ber
from mailseal.smime.ber import Element, Fields
from mailseal.smime.errors import CmsError, only_cms_errors
from mailseal.smime.key_wrap import key_wrap, password_wrap
from mailseal.smime.password_based import PasswordBasedError, TooMuchWorkError, pbkdf2, readings
from mailseal.smime.recipient import RecipientId, RecipientKind
from mailseal.smime.rsa_parameters import algorithm_identifier
from mailseal.smime.secret import Secret, SharedKey, SharedPassword


@dataclass(frozen=True, slots=True)
class SharedKeyRecipient:
    """The content key wrapped under a key that was agreed beforehand."""

    id: RecipientId
    encrypted_key: bytes = field(repr=False)
    algorithm: Element = field(repr=False)

    def unwrap(self, secret: PrivateKey | Secret, substitute: bytes) -> bytes | None:
        """The content key; None if the secret does not yield one."""
        if not isinstance(secret, SharedKey):
            return None
        return key_wrap(self.algorithm).unwrap(secret.octets, self.encrypted_key, len(substitute))


@dataclass(frozen=True, slots=True)
class PasswordRecipient:
    """The content key wrapped under a key that is derived from a password."""

    id: RecipientId
    encrypted_key: bytes = field(repr=False)
    derivation: Element | None = field(repr=False)
    algorithm: Element = field(repr=False)

    @only_cms_errors
    def unwrap(self, secret: PrivateKey | Secret, substitute: bytes) -> bytes | None:
        """The content key; None if the password does not yield one."""
        if not isinstance(secret, SharedPassword):
            return None
        kind, parameters = algorithm_identifier(self.algorithm)
        if kind != algorithms.PWRI_KEK:
            raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "the key encryption algorithm is not supported")
        wrap = password_wrap(parameters)
        try:
            kek = self._derived(secret, wrap.row.key_octets)
        except TooMuchWorkError as error:
            raise CmsError(ReasonCode.TOO_LARGE, str(error)) from error
        except PasswordBasedError as error:
            raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, str(error)) from error
        if len(kek) != wrap.row.key_octets:
            return None
        return wrap.unwrap(kek, self.encrypted_key, len(substitute))

    def _derived(self, secret: SharedPassword, octets: int) -> bytes:
        if self.derivation is None:
            raise PasswordBasedError("the key derivation is missing")
        fields = Fields(self.derivation, 0xA0)
        if ber.oid(fields.take()) != algorithms.PBKDF2:
            raise PasswordBasedError("the key derivation is not supported")
        return pbkdf2(fields.take(ber.SEQUENCE), readings(secret.octets)[0], secret.work, octets)


def shared_key(fields: Fields) -> SharedKeyRecipient:
    """Read a KEKRecipientInfo. Date and other attributes of the key's identifier are left alone."""
    fields.take(ber.INTEGER)  # version
    key_id = ber.octets(Fields(fields.take(ber.SEQUENCE)).take())
    algorithm = fields.take(ber.SEQUENCE)
    name = RecipientId(RecipientKind.SHARED_KEY, key_id=key_id)
    return SharedKeyRecipient(name, ber.octets(fields.take()), algorithm)


def password(fields: Fields) -> PasswordRecipient:
    """Read a PasswordRecipientInfo."""
    fields.take(ber.INTEGER)  # version
    derivation = fields.optional(0xA0)
    algorithm = fields.take(ber.SEQUENCE)
    return PasswordRecipient(RecipientId(RecipientKind.PASSWORD), ber.octets(fields.take()), derivation, algorithm)
