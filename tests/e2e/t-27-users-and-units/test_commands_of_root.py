"""Commands that root gives work with the data folder's owner's rights, and what they make can be used by the roles."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.everybody import KEEPER, environment, give
from harness.home import Home
from harness.waiting import PATIENCE_SECONDS, wait_until

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def vault(home: Home) -> Iterator[Path]:
    """A folder of root's alone, as /root."""
    made = home.folder / "vault"
    made.mkdir(mode=0o700)
    (made / "passphrase").write_text(PASSPHRASE)
    yield made
    shutil.rmtree(made)


def test_with_the_owners_rights_root_has_none_of_its_own(home: Home) -> None:
    """Its groups too: a file of root's group may be no more for who owns the data folder than any other of root's."""
    script = (
        "import os\n"
        "from pathlib import Path\n"
        "from mailseal.roles.users import as_owner\n"
        "def who(): print(os.geteuid(), os.getegid(), *os.getgroups())\n"
        "who()\n"
        f"with as_owner(Path({str(home.data)!r})): who()\n"
        "who()\n"
    )
    command = [home.python, "-c", script]
    told = subprocess.run(command, env=environment(), extra_groups=[0, 4], capture_output=True, text=True, check=True)
    entry = pwd.getpwnam(KEEPER)
    groups = sorted(os.getgrouplist(KEEPER, entry.pw_gid))
    before, within, after = (list(map(int, line.split())) for line in told.stdout.splitlines())
    assert [*within[:2], *sorted(within[2:])] == [entry.pw_uid, entry.pw_gid, *groups]
    assert before == after == [0, 0, 0, 4]


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


def test_what_root_restores_can_be_started_at_once(home: Home, vault: Path) -> None:
    options = ("--passphrase-file", str(vault / "passphrase"))
    assert home.mailseal("backup", str(vault / "node.backup"), *options).returncode == 0
    data, config = home.folder / "restored", home.folder / "etc" / "new" / "mailseal.toml"
    data.mkdir(mode=0o700)
    give(data)
    command = ("restore", str(vault / "node.backup"), "--data", str(data), *options)
    nowhere = home.mailseal(*command, "--config", str(vault / "passphrase" / "mailseal.toml"))
    assert nowhere.returncode == 1
    assert list(data.iterdir()) == [], "told before anything is loaded"
    restored = home.mailseal(*command, "--config", str(config), umask=0o077)
    assert restored.returncode == 0, restored.stderr
    assert config.stat().st_uid == 0

    process = home.serve(home.command("serve", config=config))
    try:
        wait_until(
            lambda: (data / "run" / "ready").exists() or "ended with" in home.said() or process.poll() is not None
        )
        assert (data / "run" / "ready").exists(), home.said()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


def test_the_roles_can_read_what_root_configures(home: Home) -> None:
    data, config = home.folder / "second", home.folder / "etc2" / "second" / "mailseal.toml"
    data.mkdir(mode=0o700)
    give(data)
    made = home.mailseal("init", "--data", str(data), config=config, umask=0o077)
    assert made.returncode == 0, made.stderr
    assert subprocess.run(["cat", config], user=KEEPER, capture_output=True, check=False).returncode == 0
    config.chmod(0o600)
    checked = home.mailseal("check", config=config)
    assert checked.returncode == 1
    assert f"fail  configuration   the owner of the data folder, who the roles run as, cannot read {config}\n" in (
        checked.stdout
    )


def test_init_writes_through_no_link(home: Home, vault: Path) -> None:
    config = home.folder / "linked.toml"
    config.symlink_to(vault / "made")
    made = home.mailseal("init", "--data", str(home.data), config=config)
    assert made.returncode == 1
    assert f"{config} cannot be written" in made.stderr
    assert not (vault / "made").exists()


SWAPPED = """
import os, sys
from pathlib import Path
from mailseal.cli import run
config, data, victim = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
real = os.mkdir
def mkdir(path, *rest, **more):
    real(path, *rest, **more)
    if Path(path).parent == data:
        os.rename(path, f"{path}.aside")
        os.symlink(victim, path)
os.mkdir = mkdir
sys.exit(run(["--config", str(config), "init"]))
"""
"""Of whom has taken over a mail worker: a folder that root has just made becomes a link at once."""


def test_init_gives_nothing_of_root_away(home: Home, vault: Path) -> None:
    shutil.rmtree(home.data / "spool")
    (vault / "swapped.py").write_text(SWAPPED)
    command = [home.python, str(vault / "swapped.py"), str(home.config), str(home.data), str(vault)]
    subprocess.run(command, env=environment(), capture_output=True, check=False, cwd=home.folder)
    assert (home.data / "spool").is_symlink()
    assert vault.stat().st_uid == 0
    (home.data / "spool").unlink()
    (home.data / "spool.aside").rename(home.data / "spool")
