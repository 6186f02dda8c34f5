"""Many certificates, made by changing one: its serial number and address. Signatures are none: storing asks for none.

As a program: an import of a bundle into a database, `many_certificates.py URL PASSWORD BUNDLE [HOW]`. Prints how many
are new after each transaction; "measured": and the octets that Python holds then; "stepwise": and waits for a line.
"""

import sys
import tracemalloc
from functools import cache
from itertools import islice
from pathlib import Path


@cache
def _template():
    from pki import Authority  # noqa: PLC0415 -- as a program it needs none

    return Authority("Many").issue("user-000000@example.com", key="p256", serial=0x70_00_00_00_00_00).der


def ders(count):
    made = _template()
    for number in range(count):
        yield made.replace(b"user-000000@", b"user-%06d@" % number).replace(
            bytes.fromhex("0206700000000000"), bytes.fromhex(f"02067{number:011x}")
        )


def certificates(count):
    from mailseal.smime.certificate import parse_certificate  # noqa: PLC0415 -- same

    return [parse_certificate(der) for der in ders(count)]


def write(path, count):
    from mailseal.smime.pem import encode  # noqa: PLC0415 -- same

    with path.open("wb") as file:
        file.writelines(encode("CERTIFICATE", der) for der in ders(count))


def main(url, password, bundle, how=""):
    from mailseal.smime.importing import open_file  # noqa: PLC0415 -- same
    from mailseal.store.certificate_import import CHUNK_ROWS, CertificateImport  # noqa: PLC0415 -- same
    from mailseal.store.certificate_rows import name_key  # noqa: PLC0415 -- same
    from mailseal.store.configure import use  # noqa: PLC0415 -- same

    use(url, password, node="mx2")
    importing = CertificateImport(lambda: None)
    new = 0
    if how == "measured":
        tracemalloc.start()
    with Path(bundle).open("rb") as file:
        members = iter(open_file(file, lambda: b"").members)
        while some := list(islice(members, CHUNK_ROWS)):
            new += len(importing.add([(one.certificate, None) for one in some]))
            del some
            name_key.cache_clear()  # it may hold more names than a test has
            print(new, tracemalloc.get_traced_memory()[0], flush=True)
            if how == "stepwise":
                sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
