"""Files with keys that OpenSSL 3.0, NSS 3.87 and keytool 17 wrote once: what could be read must be read for ever.

Their password is `geheim12`. The names say what protects certificates and key.
"""

import base64
from io import BytesIO
from pathlib import Path

import pytest

from mailseal.smime.importing import ImportingError, open_file, read_pkcs12

FOLDER = Path(__file__).parent / "pkcs12"
PASSWORD = b"geheim12"


def octets(name: str) -> bytes:
    return base64.b64decode((FOLDER / f"{name}.b64").read_bytes())


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("aes", 1), ("des-2key", 1), ("keytool-two-keys", 2), ("no-mac", 1), ("nss-two-keys", 2), ("pbes1-des", 1),
        ("pbes1-rc2", 1), ("plain", 1), ("rc2-128", 1), ("rc2-40", 1), ("rc4-40", 1),
    ],
)  # fmt: skip
def test_pkcs12(name, keys):
    imported = read_pkcs12(octets(name), PASSWORD)
    assert len(imported.keys) == keys
    assert imported.problems == ()
    if name.startswith("nss"):
        return  # 600,000 iterations for each thing: once is enough
    for wrong, text in ((b"geheim13", "is wrong, or the file is damaged"), (b"", "needs a password")):
        with pytest.raises(ImportingError, match=text):
            read_pkcs12(octets(name), wrong)


def test_an_empty_password_and_one_beyond_ascii():
    assert read_pkcs12(octets("empty-password"), None).keys
    assert read_pkcs12(octets("umlaut"), "pässwörd".encode()).keys


@pytest.mark.parametrize(
    ("name", "certificate", "encrypted"),
    [
        ("ec-traditional", "ec", False),
        ("ec-traditional-aes128", "ec", True),
        ("pkcs8", "ec", False),
        ("pkcs8-aes256", "ec", True),
        ("pkcs8-des3-sha512", "ec", True),
        ("pkcs8-md5-des", "ec", True),
        ("pkcs8-scrypt", "ec", True),
        ("rsa-traditional", "rsa", False),
        ("rsa-traditional-aes256", "rsa", True),
        ("rsa-traditional-des3", "rsa", True),
    ],
)
@pytest.mark.parametrize("key_first", [False, True])
def test_keys_in_pem(name, certificate, encrypted, key_first):
    key, owner = (FOLDER / f"{name}.pem").read_bytes(), (FOLDER / f"{certificate}.crt").read_bytes()
    file = key + owner if key_first else owner + key

    def read(password):
        asked = []
        opened = open_file(BytesIO(file), lambda: asked.append(1) or password)
        found = list(opened.members)
        assert len(asked) == encrypted
        return found

    (member,) = read(PASSWORD)
    assert member.certificate.subject_emails == (f"{certificate}@example.com",)
    assert member.key.public_key()
    assert not member.problem
    if encrypted:
        for wrong, text in ((b"geheim13", "wrong"), (b"", "needs a password")):
            found = read(wrong)
            assert [one.key for one in found] == [None, None]
            (problem,) = [one for one in found if one.lost_key]
            assert text in problem.problem
