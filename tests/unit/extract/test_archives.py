"""Archives and compressed files: what is in them, what is around it, and all of it within one budget."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib

import pytest

from documents.archive_writer import cabinet, locked, rar, written, zipped
from documents.pdf_writer import line, page_objects, pdf
from documents.reading import read, reasons, text_of
from mailseal.extract import archive
from mailseal.extract.budget import Budget
from mailseal.policy.inspection import Gap, GapReason, GapStatus

NEEDLE = b"the needle 4111111111111111"
FILES = {"folder/a.txt": NEEDLE}


def tar(name: str, content: bytes, mode: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


ARCHIVES = {
    "zip": zipped(FILES),
    "zip, stored": zipped(FILES, zipfile.ZIP_STORED),
    "zip, bzip2": zipped(FILES, zipfile.ZIP_BZIP2),
    "zip, lzma": zipped(FILES, zipfile.ZIP_LZMA),
    "7z": written("7zip", FILES),
    "iso": written("iso9660", FILES),
    "ar": written("ar_svr4", {"a.txt": NEEDLE}),
    "cpio": written("cpio_newc", FILES),
    "xar": written("xar", FILES),
    "cab": cabinet("folder\\a.txt", NEEDLE),
    "rar": rar("folder\\a.txt", NEEDLE),
    "tar": tar("folder/a.txt", NEEDLE, "w"),
    "tar, old": written("v7tar", FILES),
    "tar.gz": tar("folder/a.txt", NEEDLE, "w:gz"),
    "tar.bz2": tar("folder/a.txt", NEEDLE, "w:bz2"),
    "tar.xz": tar("folder/a.txt", NEEDLE, "w:xz"),
    "tar.zst": written("gnutar", FILES, "zstd"),
    "tar.lz4": written("gnutar", FILES, "lz4"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_every_archive_is_read_without_a_hint(kind: str) -> None:
    found = read(ARCHIVES[kind], name="")
    assert NEEDLE.decode() in text_of(found)
    assert "a.txt" in text_of(found)
    assert found.gaps == ()


@pytest.mark.parametrize(
    "octets",
    [gzip.compress(NEEDLE), bz2.compress(NEEDLE), lzma.compress(NEEDLE), lzma.compress(NEEDLE, lzma.FORMAT_ALONE)],
)
def test_a_compressed_file_is_read_and_what_follows_it(octets: bytes) -> None:
    assert NEEDLE.decode() in text_of(read(octets))
    assert "and more" in text_of(read(octets + b"and more of it"))
    assert text_of(read(octets * 2)).count("needle") == 2


def test_the_name_that_gzip_keeps_is_read() -> None:
    out = io.BytesIO()
    with gzip.GzipFile("salaries.txt", "wb", fileobj=out) as file:
        file.write(NEEDLE)
    assert "salaries.txt" in text_of(read(out.getvalue()))


def test_what_is_broken_is_read_as_far_as_it_goes() -> None:
    long = NEEDLE + bytes(range(256)) * 10_000
    found = read(gzip.compress(long)[:-2000])
    assert NEEDLE.decode() in text_of(found)
    assert GapReason.BROKEN in reasons(found)
    assert reasons(read(ARCHIVES["7z"][:-20])) == {GapReason.BROKEN}
    assert GapReason.BROKEN in reasons(read(ARCHIVES["zip"][:-30]))


def test_a_size_that_is_a_lie_hides_nothing() -> None:
    long = b"x" * 1000 + NEEDLE
    octets = zipped({"a": long})
    size = len(long).to_bytes(4, "little")
    short = (10).to_bytes(4, "little")
    assert NEEDLE.decode() in text_of(read(octets.replace(size, short)))
    crc = zlib.crc32(long).to_bytes(4, "little")
    lie = octets.replace(size, short).replace(crc, zlib.crc32(long[:10]).to_bytes(4, "little"))
    found = read(lie)
    assert GapReason.BROKEN in reasons(found)


def test_a_zip_that_has_lost_its_directory_is_read_all_the_same() -> None:
    octets = zipped(FILES, zipfile.ZIP_STORED)
    assert NEEDLE.decode() in text_of(read(octets[: octets.index(b"PK\x01\x02")]))


def test_a_password_is_a_gap_and_names_are_read() -> None:
    found = read(locked(zipped(FILES)), name="b.zip")
    assert found.gaps == (
        Gap("b.zip: folder/a.txt", GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED, "it has a password"),
    )
    assert "a.txt" in text_of(found)
    assert reasons(read(rar("a.txt", NEEDLE, 0x8004))) == {GapReason.ENCRYPTED}


def test_comments_odd_names_and_what_stands_around_the_files_is_read() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.comment = b"of the archive"
        member = zipfile.ZipInfo("gr--e.txt")
        member.comment = b"of the file"
        archive.writestr(member, "content")
    found = text_of(read(b"before all of it" + out.getvalue().replace(b"gr--e", "größe".encode("cp1252"))))
    for text in ("before all", "of the archive", "größe", "of the file", "content"):
        assert text in found
    first, second = zipped({"one": "1"}), zipped({"two": "2"})
    hidden = zipped({"a": "b"}, zipfile.ZIP_STORED)
    at = hidden.index(b"PK\x01\x02")
    text = b"hidden here and there, since it is long"
    assert "hidden here and there" in text_of(read(hidden[:at] + text + hidden[at:]))
    between = hidden[:at] + text + hidden[at:-6] + (at + len(text)).to_bytes(4, "little") + hidden[-2:]
    assert "hidden here and there" in text_of(read(between))
    assert "two" in text_of(read(first + second))
    assert "behind it all" in text_of(read(first + b"behind it all"))


def test_names_of_links_and_folders_are_read() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind in (("a folder", tarfile.DIRTYPE), ("a link", tarfile.SYMTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "its target"
            archive.addfile(member)
    found = text_of(read(out.getvalue()))
    assert "a folder" in found
    assert "its target" in found


def test_a_picture_with_a_zip_behind_it_is_both() -> None:
    png = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\x0ctEXtTitle\0secret" + bytes(4)
    found = text_of(read(png + zipped(FILES)))
    assert "secret" in found
    assert NEEDLE.decode() in found


@pytest.mark.parametrize("front", [b"\x89PNG\r\n\x1a\n" + bytes(9), b"MZ" + bytes(range(256)) * 9])
@pytest.mark.parametrize("kind", ["7z", "rar"])
def test_an_archive_behind_a_picture_or_a_program_is_read(front: bytes, kind: str) -> None:
    assert NEEDLE.decode() in text_of(read(front + ARCHIVES[kind]))


def test_a_pdf_with_a_zip_behind_it_is_both() -> None:
    page = pdf(page_objects([line("of the page")]))
    found = text_of(read(page + zipped(FILES)))
    assert "of the page" in found
    assert NEEDLE.decode() in found


def test_files_in_files_are_read_to_a_depth() -> None:
    octets = NEEDLE
    for number in range(40):
        octets = zipped({f"{number}.zip": octets})
    found = read(octets)
    assert reasons(found) == {GapReason.TOO_DEEP}
    assert NEEDLE.decode() in text_of(read(octets, Budget(depth=50)))


def test_bombs_end_at_the_budget() -> None:
    zeros = bytes(3_000_000)
    for octets in (zipped({"a": zeros}), gzip.compress(zeros), bz2.compress(zeros), lzma.compress(zeros, preset=0)):
        assert GapReason.TOO_LARGE in reasons(read(octets, Budget(octets=1_000_000)))
    assert GapReason.TOO_LARGE in reasons(read(written("7zip", {"a": zeros}), Budget(octets=1_000_000)))
    many = zipped({str(number): b"x" for number in range(2000)}, zipfile.ZIP_STORED)
    assert reasons(read(many, Budget(files=1000))) == {GapReason.TOO_MANY}


def test_one_budget_is_for_all_that_is_in_a_file() -> None:
    inner = zipped({"a": bytes(300_000)})
    budget = Budget(octets=1_000_000)
    found = read(zipped({f"{number}.zip": inner for number in range(5)}), budget)
    assert GapReason.TOO_LARGE in reasons(found)
    assert budget.octets < 0


def test_without_libarchive_there_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_library", lambda: None)
    found = read(ARCHIVES["7z"])
    assert [(one.status, one.reason) for one in found.gaps] == [(GapStatus.UNINSPECTABLE, GapReason.UNSUPPORTED)]
    assert archive.libarchive_problem() is not None
    assert read(ARCHIVES["tar.gz"]).gaps
    assert not read(ARCHIVES["zip"]).gaps


def test_many_files_of_no_known_format_do_not_hide_one_that_is_locked() -> None:
    """What is unknown is a warning by default, what is locked has the mail held."""
    files: dict[str, bytes | str] = {f"{n:05}.bin": b"\x01\x02\xff\xfe\x00" * 20 for n in range(1100)}
    files["z.zip"] = locked(zipped(FILES))
    found = read(zipped(files, zipfile.ZIP_STORED))
    kinds = {(gap.status, gap.reason) for gap in found.gaps}
    assert (GapStatus.UNINSPECTABLE, GapReason.ENCRYPTED) in kinds
    assert len(found.gaps) < 1100
