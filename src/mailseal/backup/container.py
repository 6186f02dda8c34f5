"""A backup file: two members in a plain tar, both in the format age (age-encryption.org/v1), so that `age` opens it.

`key.age` is an X25519 identity under the passphrase (scrypt); `payload.age` is encrypted to that identity, since age
streams only to a key. Every octet of the tar around them is given (mode, times, padding), so that each is checked.
"""

import contextlib
import io
import os
import secrets
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import pyrage

from mailseal.backup.errors import DamagedBackupError, ExistsError, NotABackupError, WrongPassphraseError

KEY_MEMBER: Final = "key.age"
PAYLOAD_MEMBER: Final = "payload.age"
MIN_PASSPHRASE: Final = 12
_BLOCK: Final = tarfile.BLOCKSIZE
_MAX_KEY_OCTETS: Final = 64 * 1024
_CHUNK: Final = 64 * 1024
_END: Final = bytes(2 * _BLOCK)


def header(name: str, size: int) -> bytes:
    """The header of a member, always the same for the same name and size (POSIX.1-1988 ustar, GNU for 8 GiB)."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info.tobuf(tarfile.GNU_FORMAT, "ascii")


def padding(size: int) -> bytes:
    """What fills the last block of a member."""
    return bytes(-size % _BLOCK)


def write(
    path: Path,
    chunks: Iterable[bytes],
    passphrase: str,
    *,
    caller: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Make the file, whole or not at all, mode 0600; raises ExistsError, OSError and what `chunks` raises.

    `caller` gives the rights to look for it and to make it.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with caller():
        if path.exists():
            raise ExistsError(f"{path} exists", "a backup never replaces a file; name another one")
        descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _write(file, chunks, passphrase)
            file.flush()
            os.fsync(file.fileno())
        with caller():
            _give_name(aside, path)
    finally:
        with caller():
            aside.unlink(missing_ok=True)


def _write(file: BinaryIO, chunks: Iterable[bytes], passphrase: str) -> None:
    identity = pyrage.x25519.Identity.generate()
    key = pyrage.passphrase.encrypt(f"{identity}\n".encode(), passphrase)
    file.write(header(KEY_MEMBER, len(key)) + key + padding(len(key)))
    begin = file.tell()
    file.write(bytes(_BLOCK))  # the size is known at the end; until then this is no tar
    source, sink = _Source(chunks), _Sink(file)
    try:
        pyrage.encrypt_io(source, sink, [identity.to_public()])
    except (pyrage.EncryptError, OSError):
        # The library tells of an error by its text alone.
        raise (source.error or sink.error or OSError("the backup cannot be encrypted")) from None
    if sink.error is not None:  # it says nothing of an error in the last of its writes
        raise sink.error
    size = file.tell() - begin - _BLOCK
    file.write(padding(size) + _END)
    file.seek(begin)
    file.write(header(PAYLOAD_MEMBER, size))


def _give_name(aside: Path, path: Path) -> None:
    try:
        os.link(aside, path)  # unlike a rename it never replaces a file
    except FileExistsError:
        raise ExistsError(f"{path} exists", "a backup never replaces a file; name another one") from None
    except OSError:  # a file system without links
        aside.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class _Source:
    """Chunks as a file to read from; keeps the error that ended it."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""
        self.error: BaseException | None = None

    def read(self, size: int) -> bytes:
        try:
            while not self._rest:
                self._rest = next(self._chunks)
        except StopIteration:
            return b""
        except BaseException as error:
            self.error = error
            raise
        given, self._rest = self._rest[:size], self._rest[size:]
        return given


class _Sink:
    """A file to write to; keeps the error that ended it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: BaseException | None = None

    def write(self, octets: bytes) -> int:
        try:
            return self._file.write(octets)
        except BaseException as error:
            self.error = error
            raise

    def flush(self) -> None:
        try:
            self._file.flush()
        except BaseException as error:
            self.error = error
            raise


@dataclass(frozen=True, slots=True)
class Opened:
    """A backup file whose outer form is right and whose passphrase fits."""

    file: BinaryIO
    identity: pyrage.x25519.Identity
    at: int
    size: int

    def __repr__(self) -> str:
        return f"Opened(size={self.size})"

    def chunks(self) -> Iterator[bytes]:
        """The payload, decrypted; DamagedBackupError at the first octet that is wrong. Each piece is authenticated."""
        source = _Window(self.file, self.at, self.size)
        readable, writable = os.pipe()
        with os.fdopen(readable, "rb", buffering=0) as pipe:
            failed: list[BaseException] = []
            thread = threading.Thread(target=_decrypt, args=(source, writable, self.identity, failed), daemon=True)
            thread.start()
            try:
                while chunk := pipe.read(_CHUNK):
                    yield chunk
            finally:
                pipe.close()  # whoever writes into it now ends
                thread.join()
            if source.error is not None:
                raise source.error
            if failed:
                raise DamagedBackupError("the backup is damaged: what it holds does not decrypt", _TAKE_ANOTHER)


_TAKE_ANOTHER = "take another copy of it, or an older backup"


@contextmanager
def open_file(path: Path, passphrase: str) -> Iterator[Opened]:
    """Open a backup file; raises NotABackupError, DamagedBackupError, WrongPassphraseError, OSError."""
    with path.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        key = file.read(_member(file, KEY_MEMBER, _MAX_KEY_OCTETS))
        _zeros(file, len(padding(len(key))))
        size = _member(file, PAYLOAD_MEMBER, length)
        at = file.tell()
        if length != at + size + len(padding(size)) + len(_END):
            raise DamagedBackupError(f"the backup has {length} octets, but should have others: cut off?", _TAKE_ANOTHER)
        file.seek(at + size)
        _zeros(file, length - at - size)
        yield Opened(file, _identity(key, passphrase), at, size)


def _identity(key: bytes, passphrase: str) -> pyrage.x25519.Identity:
    try:
        text = pyrage.passphrase.decrypt(key, passphrase).decode("ascii").strip()
        return pyrage.x25519.Identity.from_str(text)
    except (pyrage.DecryptError, pyrage.IdentityError, OSError, ValueError):
        raise WrongPassphraseError(
            "the passphrase does not open the backup", "try again; if it is right, the file is damaged: take another"
        ) from None


def _member(file: BinaryIO, name: str, limit: int) -> int:
    """The size of the member that begins here; the header has to be exactly what `header` makes."""
    block = file.read(_BLOCK)
    try:
        size = tarfile.TarInfo.frombuf(block, "ascii", "strict").size
        right = 0 < size <= limit and block == header(name, size)
    except (tarfile.HeaderError, ValueError):
        right = False
    if not right:
        if name == KEY_MEMBER and not block.startswith(name.encode()):
            raise NotABackupError("the file is not a backup of Mailseal", "name a file that `mailseal backup` made")
        raise DamagedBackupError(f"the backup is damaged or unfinished: {name} does not begin right", _TAKE_ANOTHER)
    return size


def _zeros(file: BinaryIO, count: int) -> None:
    if file.read(count) != bytes(count):
        raise DamagedBackupError("the backup is damaged: there is something between its parts", _TAKE_ANOTHER)


class _Window(io.RawIOBase):
    """Some octets of a file, as a file."""

    def __init__(self, file: BinaryIO, at: int, size: int) -> None:
        super().__init__()
        file.seek(at)
        self._file = file
        self._left = size
        self.error: OSError | None = None

    def read(self, size: int = -1, /) -> bytes:
        try:
            octets = self._file.read(min(size, self._left) if size >= 0 else self._left)
        except OSError as error:
            self.error = error
            raise
        self._left -= len(octets)
        return octets


def _decrypt(source: _Window, descriptor: int, identity: pyrage.x25519.Identity, failed: list[BaseException]) -> None:
    # Closing flushes: after an early end of the reader that is one more error of no interest.
    with contextlib.suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as pipe:
        sink = _Sink(pipe)
        try:
            pyrage.decrypt_io(source, sink, [identity])
        except Exception as error:  # noqa: BLE001 -- whatever it is, the payload is not whole
            failed.append(error)
        if sink.error is not None:
            failed.append(sink.error)
