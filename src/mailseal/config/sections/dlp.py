"""[dlp]"""

from dataclasses import dataclass

from mailseal.config import values
from mailseal.config.key import key

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Dlp:
    """What reading attachments may cost (`dlp.md`). What is beyond these limits is never taken for harmless: it counts
    as not read, and the settings `dlp_uninspectable` and `dlp_partial` say what follows. What is looked for, and in
    whose mail, is policy.
    """

    extractors: int = key(
        values.whole(1, 256),
        "Processes that read documents, one each at a time. They are there only while there is something to read, and "
        "ten minutes more.",
        example="4",
        default=2,
    )
    document_seconds: int = key(
        values.whole(1, 600),
        "How long one document may be read; then its process is killed.",
        example="20",
        default=20,
    )
    mail_seconds: int = key(
        values.whole(1, 1800),
        "How long all documents of one mail may be read, without the time that they wait for their turn. At most half "
        "of limits.deadline_seconds.",
        example="90",
        default=90,
    )
    wait_seconds: int = key(
        values.whole(1, 600),
        "How long a document waits for its turn; then the mail is deferred (451).",
        example="60",
        default=60,
    )
    memory_bytes: int = key(
        values.size(256 * _MIB, 1 << 40),
        "The address space of a process that reads documents (RLIMIT_AS).",
        example='"1 GiB"',
        default=1024 * _MIB,
    )
    text_characters: int = key(
        values.whole(1000, 1 << 30),
        "How much text of one mail is looked at, attachments included.",
        example="20_000_000",
        default=20_000_000,
    )
    unpacked_bytes: int = key(
        values.size(_MIB, 1 << 40),
        "How many octets the archives and documents of one mail may unpack to.",
        example='"512 MiB"',
        default=512 * _MIB,
    )
    files: int = key(
        values.whole(1, 1_000_000),
        "How many files of one mail are looked at: attachments, and what is in archives and documents.",
        example="10_000",
        default=10_000,
    )
    depth: int = key(
        values.whole(1, 100),
        "How many archives, documents and mails may be in one another.",
        example="10",
        default=10,
    )
