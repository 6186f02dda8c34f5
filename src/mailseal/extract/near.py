"""What is read where the mail is: text, HTML, mails, and files that hide nothing to unpack. No library, no C."""

from collections.abc import Mapping

from mailseal.extract.media import read_media
from mailseal.extract.message import read_mail, read_mbox
from mailseal.extract.plain import read_html, read_text
from mailseal.extract.sealed import read_cms, read_pgp
from mailseal.extract.sniff import Format
from mailseal.extract.strings import read_certificate, read_unknown
from mailseal.extract.walk import Handler, Walk


def read_nothing(octets: bytes, walk: Walk) -> None:
    """A file without content."""


NEAR: Mapping[Format, Handler] = {
    Format.EMPTY: read_nothing,
    Format.TEXT: read_text,
    Format.HTML: read_html,
    Format.MAIL: read_mail,
    Format.MBOX: read_mbox,
    Format.CMS: read_cms,
    Format.CERTIFICATE: read_certificate,
    Format.PGP: read_pgp,
    Format.MEDIA: read_media,
    Format.UNKNOWN: read_unknown,
}
