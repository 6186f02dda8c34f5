"""Office documents that are encrypted ([MS-OFFCRYPTO], ODF 1.3 part 2 §3.4): nothing of them can be read."""

from mailseal.extract import doc, ppt
from mailseal.extract.cfb import Storage

_STREAMS = {
    "encryptedpackage": "an Office document with a password",
    "\x09drmcontent": "a document with rights management",
    "\x09drmviewercontent": "a document with rights management",
    "encryptedsummary": "a presentation with a password",
}


def encryption_of(storage: Storage) -> str:
    """What is encrypted of a document in a storage; "" for nothing. Workbooks tell it in their records (xls.py)."""
    for stream in storage.streams:
        if stream.name.lower() in _STREAMS:
            return _STREAMS[stream.name.lower()]
    if any(doc.is_encrypted(stream.octets()) for stream in storage.all("WordDocument")):
        return "a Word document with a password"
    if any(ppt.is_encrypted(stream.octets()) for stream in storage.all("Current User")):
        return "a presentation with a password"
    return ""


def is_odf_encrypted(manifest: bytes) -> bool:
    """Whether META-INF/manifest.xml says that parts of an OpenDocument package are encrypted."""
    return b"encryption-data" in manifest.replace(b"\0", b"")
