"""The form of what we write: how one ciphertext is made, by what its readers' certificates say they can read."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mailseal.openpgp.algorithms import AeadId, CipherId, CompressionId
from mailseal.openpgp.key import PublicKey


@dataclass(frozen=True, slots=True)
class Reader:
    """A key to encrypt to, with what its certificate advertises: `seipd_v2` and its suites of cipher and mode
    (RFC 9580 §5.2.3.15, §5.2.3.32). `hidden`: the message does not name it.
    """

    key: PublicKey
    seipd_v2: bool = False
    suites: tuple[tuple[int, int], ...] = field(default=())
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class EncryptionForm:
    """Of one ciphertext. `aead`: SEIPD of version 2 in that mode; None: version 1, which every program reads."""

    aead: AeadId | None = None
    cipher: CipherId = CipherId.AES256
    compression: CompressionId = CompressionId.UNCOMPRESSED

    @property
    def name(self) -> str:
        """What the log says of it, like "aes256-ocb"."""
        return f"{self.cipher.name.lower()}-{'cfb' if self.aead is None else self.aead.name.lower()}"


def form_for(readers: Sequence[Reader], compression: CompressionId = CompressionId.UNCOMPRESSED) -> EncryptionForm:
    """Version 2 of SEIPD if all readers have keys of version 6 and say that they read it, else version 1.

    Keys of version 4 may say so, too, but it would take session keys of version 6, which programs of old do not read
    though the same key is in them.
    """
    if not readers or not all(reader.seipd_v2 and reader.key.version == 6 for reader in readers):
        return EncryptionForm(compression=compression)
    mode = next((mode for mode in (AeadId.OCB, AeadId.GCM) if _all_have(readers, mode)), AeadId.OCB)
    return EncryptionForm(mode, compression=compression)


def _all_have(readers: Sequence[Reader], mode: AeadId) -> bool:
    return all((CipherId.AES256, mode) in reader.suites for reader in readers)
