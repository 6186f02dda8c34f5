"""The form of what we write: which algorithms one ciphertext or one signature uses."""

from dataclasses import dataclass

from mailseal.policy.settings import Cipher, Digest, KeyTransport, RsaSignature


@dataclass(frozen=True, slots=True)
class EncryptionForm:
    """Of one ciphertext. `key_transport` is for recipients with RSA keys; to the others the key is agreed."""

    cipher: Cipher = Cipher.AES256_CBC
    key_transport: KeyTransport = KeyTransport.PKCS1V15


@dataclass(frozen=True, slots=True)
class SignatureForm:
    """Of one signature. `rsa` is for signers with RSA keys; `opaque` puts the content inside."""

    digest: Digest = Digest.SHA256
    rsa: RsaSignature = RsaSignature.PKCS1V15
    opaque: bool = False
