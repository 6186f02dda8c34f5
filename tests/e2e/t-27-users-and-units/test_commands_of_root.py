"""Commands that root gives work with the data folder's owner's rights, and what they make can be used by the roles."""

import shutil
from pathlib import Path

import pytest

from harness.home import Home

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def vault(home: Home) -> Path:
    """A folder of root's alone, as /root."""
    made = home.folder / "vault"
    made.mkdir(mode=0o700)
    (made / "passphrase").write_text(PASSPHRASE)
    yield made
    shutil.rmtree(made)


def test_a_backup_goes_to_where_root_alone_can_get(home: Home, vault: Path) -> None:
    options = ("--passphrase-file", str(vault / "passphrase"))
    made = home.mailseal("backup", str(vault / "node.backup"), *options)
    assert made.returncode == 0, made.stderr
    assert "rows" in made.stdout
    found = (vault / "node.backup").stat()
    assert (found.st_uid, found.st_mode & 0o777) == (0, 0o600)
    again = home.mailseal("backup", str(vault / "node.backup"), *options)
    assert again.returncode == 1
    assert "a backup never replaces a file" in again.stderr
    assert sorted(path.name for path in vault.iterdir()) == ["node.backup", "passphrase"]


def test_a_backup_holds_no_file_that_the_roles_cannot_read(home: Home, vault: Path) -> None:
    """A link, or a route in the database, is put there by whoever has taken over a mail worker."""
    (vault / "shadow").write_text("of root alone")
    link = home.data / "tls.pem"
    link.symlink_to(vault / "shadow")
    home.write("", f'tls_certificate = "{link}"')
    made = home.mailseal("backup", str(vault / "node.backup"), "--passphrase-file", str(vault / "passphrase"))
    link.unlink()
    assert made.returncode == 1
    assert f"{link}, which the configuration or a route names, cannot be read" in made.stderr
    assert not (vault / "node.backup").exists()
