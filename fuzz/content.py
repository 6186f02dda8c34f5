"""Fuzz what DLP reads of a mail: `python fuzz/content.py [--seconds N]`.

Mails, texts, HTML, RTF, archives, documents in zip files; what is found inside is read too. Anything that comes out but
an inspection within its budget stops the run, and so does a gap that tells of an error of ours. Prints the count.
"""

import logging
import sys
from pathlib import Path

import atheris
from driver import fuzz

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("src", "tests", "tests/unit/extract")]

with atheris.instrument_imports(include=["mailseal.extract"]):
    from test_archives import ARCHIVES
    from test_extract_properties import OURS, SEEDS
    from test_mail_ambiguity import AMBIGUOUS
    from test_zip_documents import PLACES

    from mailseal.extract.budget import Budget
    from mailseal.extract.nested import read_document

CHARACTERS = 1_000_000
NAMED = {**PLACES, **ARCHIVES, **AMBIGUOUS, **{f"seed {number}": octets for number, octets in enumerate(SEEDS)}}


def one_input(data: bytes) -> None:
    """Read it as what it is, and as a mail."""
    for media_type in ("", "message/rfc822", "text/html"):
        found = read_document(data, "x", media_type, Budget(characters=CHARACTERS, octets=10_000_000, files=200))
        assert sum(len(one.text) for one in found.passages) <= CHARACTERS
        for passage in found.passages:
            passage.text.encode()
        assert not {one.detail for one in found.gaps} & OURS


if __name__ == "__main__":
    logging.disable()  # libarchive's, of each archive that is broken
    fuzz("content", __doc__, one_input, {name.replace("/", "-"): octets for name, octets in NAMED.items()})
