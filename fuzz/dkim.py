"""Fuzz what is read of DKIM, ARC and Authentication-Results: `python fuzz/dkim.py [--seconds N]`.

Starts from mails that were really signed and sealed, whose keys are published. Anything that comes out but a verdict
stops the run with the input that did it, and so does a mail that was signed here and does not verify. Prints the count
of inputs.
"""

import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import atheris
from driver import fuzz

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

with atheris.instrument_imports(include=["mailseal.dkim"]):
    from mailseal.dkim.arc import ChainState, validate
    from mailseal.dkim.fields import HeaderTooLargeError, Mail
    from mailseal.dkim.record import RecordError, choose_record, record_name, record_text
    from mailseal.dkim.results import ResultsError, arc_text, believed, claims, dkim_texts, read_results
    from mailseal.dkim.seal import may_seal, seal
    from mailseal.dkim.sign import DkimKey, SigningError, sign
    from mailseal.dkim.verify import Result, verify

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mailseal.mail.mime import MimeError, parse

AT = datetime(2030, 1, 1, tzinfo=UTC)
KEY = DkimKey("a.example", "s", Ed25519PrivateKey.from_private_bytes(b"k" * 32))
NAME, TEXT = record_name(KEY.domain, KEY.selector), record_text(KEY.key)
PLAIN = (
    b'From: a@a.example\r\nSubject: s\r\nAuthentication-Results: (c;d) m.example 1; spf=pass (x) a.b="c\\";"\r\n'
    b"\r\nx \t y\r\n\r\n"
)


def _signed(raw: bytes) -> bytes:
    return b"".join(sign(Mail.of_chunks([raw]), [KEY], AT)) + raw


def _sealed(raw: bytes) -> bytes:
    chain = validate(Mail.of_entity(parse(raw).root), _texts, AT)
    return b"".join(seal(Mail.of_chunks([raw]), chain, "m.example; dkim=none", KEY, AT)) + raw


def _texts(name: str) -> list[str]:
    return [TEXT] if name == NAME else [name, f"v=DKIM1; p={name}"]


def one_input(data: bytes) -> None:
    """A mail as it may come in; its octets also as a record, as a value and as a field of their own."""
    with suppress(RecordError):
        choose_record([data.decode("utf-8", "replace")])
    with suppress(ResultsError):
        read_results(data.decode("latin-1"))
    claims(data, {"m.example"})
    try:
        root = parse(data).root
    except MimeError:
        return
    mail = Mail.of_entity(root)
    dkim_texts(verify(mail, _texts, AT))
    chain = validate(mail, _texts, AT)
    arc_text(chain).encode("ascii")
    believed(root, {"m.example"})
    lines = data.replace(b"\r\n", b"")
    if b"\r\n\r\n" in data and b"\r" not in lines and b"\n" not in lines:  # as all mail is that is handed in
        with suppress(SigningError, HeaderTooLargeError):
            _check_ours(data, chain.state)


def _check_ours(data: bytes, state: ChainState) -> None:
    """What is signed and sealed here verifies, whatever it was."""
    ours = parse(_signed(data)).root
    if verify(Mail.of_entity(ours), _texts, AT)[0].result is not Result.PASS:
        raise AssertionError("a mail that was signed here does not verify")
    chain = validate(Mail.of_entity(parse(data).root), _texts, AT)
    if state is not ChainState.FAIL and may_seal(chain):
        after = validate(Mail.of_entity(parse(_sealed(data)).root), _texts, AT)
        if after.state is not ChainState.PASS:
            raise AssertionError("a mail that was sealed here has no good chain")


SEEDS = {
    "plain": PLAIN,
    "signed": _signed(PLAIN),
    "twice": _signed(_signed(PLAIN)),
    "sealed": _sealed(PLAIN),
    "chain": _sealed(_sealed(_signed(PLAIN))),
    "record": TEXT.encode("ascii"),
    "field": b'Authentication-Results: =?utf-8?q?m=2Eexample?= (a(b)) "c"; dkim=pass header.d=x\r\n',
}


if __name__ == "__main__":
    fuzz("dkim", __doc__, one_input, SEEDS)
