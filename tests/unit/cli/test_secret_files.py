"""Files that hold secrets and that everybody can read are pointed out."""

import pytest

from mailseal.cli.checks.environment import configuration_file
from mailseal.cli.passphrase import read_passphrase
from mailseal.config import load


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_passphrase(tmp_path, capsys, mode, warned):
    file = tmp_path / "passphrase"
    file.write_text("correct horse battery\n")
    file.chmod(mode)
    assert read_passphrase(file, new=True) == "correct horse battery"
    assert (f"everybody can read {file}" in capsys.readouterr().err) is warned


@pytest.mark.parametrize(
    ("mode", "said"), [(0o600, []), (0o644, ["everybody can read {}, which holds database.password"])]
)
def test_the_password_of_the_database(tmp_path, mode, said):
    file, config = tmp_path / "password", tmp_path / "mailseal.toml"
    file.write_text("s3cr3t\n")
    file.chmod(mode)
    config.write_text(f'data_dir = "{tmp_path}"\n[database]\nurl = "mysql://a@127.0.0.1/b"\npassword_file = "{file}"\n')
    config.chmod(0o644)
    found = configuration_file(config, load(config, {}))
    assert [one.text for one in found] == [text.format(file) for text in said]
