"""`mailseal message protect`: what an option says is what the mail gets, and openssl's words are ours."""

from datetime import UTC, datetime, timedelta

from click.testing import CliRunner

from mailseal.cli import cli
from mailseal.mail.mime import parse
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.message import read_cms, signed_parts
from mailseal.smime.verify import read_signed, verify
from pki import Authority

MAIL = (
    b"From: anna@example.com\r\nTo: bob@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
)


def test_the_algorithms_of_the_options(tmp_path):
    now = datetime.now(UTC).replace(microsecond=0)
    root = Authority("Root", not_before=now - timedelta(days=1), not_after=now + timedelta(days=9))
    anna, bob = (root.issue(one, key="rsa2048") for one in ("anna@example.com", "bob@example.org"))
    for name, octets in {"m": MAIL, "bob": bob.pem, "anna": anna.p12(b"long secret"), "pw": b"long secret"}.items():
        (tmp_path / name).write_bytes(octets)
    options = "--algorithm aes192-gcm --digest sha384 --key-transport oaep-sha512 --rsa-signature pss"
    words = ["message", "protect", *(str(tmp_path / "m"),), "--to", str(tmp_path / "bob"), "--sign"]
    words += [str(tmp_path / "anna"), "--password-file", str(tmp_path / "pw"), *options.split()]

    done = CliRunner().invoke(cli, [*words, "--output", str(tmp_path / "out")])

    assert done.exit_code == 0, done.output
    enveloped = read_enveloped(read_cms(parse((tmp_path / "out").read_bytes()).root))
    assert enveloped.algorithm == "aes192-gcm"
    inner = parse(enveloped.decrypt([(bob.certificate, bob.key)], 100_000)).root
    content, signature = signed_parts(inner)
    [check] = verify(read_signed(signature), content)
    assert (check.verified, check.algorithm, check.digest) == (True, "rsa-pss", "sha384")


def test_the_values_are_those_of_the_settings():
    shown = CliRunner().invoke(cli, ["message", "protect", "--help"]).output
    assert "default: aes256-cbc" in shown
    assert "oaep-sha256" in shown
