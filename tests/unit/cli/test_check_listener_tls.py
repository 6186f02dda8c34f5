import os
import pwd

import pytest

from harness.server_certificate import server_certificate
from mailseal.cli.checks.listener_tls import listener_tls
from mailseal.config import from_values


def found(folder, **listen):
    document = {"data_dir": str(folder), "listen": {"smtp": "127.0.0.1:10025", **listen}}
    return [(one.status.value, one.text) for one in listener_tls(from_values(document))]


@pytest.mark.parametrize(("days", "status"), [(90, "ok"), (29, "warn"), (-1, "fail")])
def test_validity(tmp_path, days, status):
    files = server_certificate(tmp_path, days=days)
    [(got, text)] = found(tmp_path, tls_certificate=str(files.certificate), tls_key=str(files.key))
    assert got == status
    assert "valid" in text


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "[::]", "[2001:db8::1]"])
def test_off_is_a_warning_where_mail_comes_over_the_network(tmp_path, host):
    network = {"smtp": f"{host}:10025"}
    assert [status for status, _ in found(tmp_path, **network)] == ["warn"]
    files = server_certificate(tmp_path)
    off = {"tls_certificate": str(files.certificate), "tls": "off"}
    assert [status for status, _ in found(tmp_path, **network, **off)] == ["warn"]


@pytest.mark.parametrize("place", ["off", "127.0.0.1:10025", "[::1]:10025"])
def test_what_stays_on_this_machine_needs_no_tls(tmp_path, place):
    assert found(tmp_path, smtp=place) == []


def test_what_cannot_be_used(tmp_path):
    files = server_certificate(tmp_path)
    files.key.chmod(0o644)
    [(status, text)] = found(tmp_path, tls_certificate=str(files.certificate), tls_key=str(files.key))
    assert status == "fail"
    assert "every user" in text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look with the eyes of another user")
def test_root_looks_with_the_eyes_of_the_mail_role(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    files = server_certificate(tmp_path)
    for path in (tmp_path, *list(tmp_path.parents)[:-2]):
        path.chmod(path.stat().st_mode | 0o011)
    groups = os.getgroups()
    [(status, text)] = found(folder, tls_certificate=str(files.certificate), tls_key=str(files.key))
    assert (status, "Permission denied" in text) == ("fail", True)
    assert (os.geteuid(), os.getegid(), os.getgroups()) == (0, 0, groups)
    os.chown(files.key, nobody.pw_uid, nobody.pw_gid)
    assert [one for one, _ in found(folder, tls_certificate=str(files.certificate), tls_key=str(files.key))] == ["ok"]
