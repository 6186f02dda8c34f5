"""The units: systemd understands them, and finds little that they leave open. Skipped where there is no systemd."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.waiting import PATIENCE_SECONDS
from mailseal.config import SOCKETS, from_values

FROM_POSTFIX = ("lmtp", "socketmap", "dovecot-auth")
UNITS = Path(__file__).resolve().parents[3] / "deploy" / "systemd"
SERVICES = {
    "mailseal.service": 3.0,
    "mailseal-mail@.service": 1.6,
    "mailseal-worker.service": 1.6,
    "mailseal-maps.service": 1.6,
    "mailseal-metrics.service": 1.6,
    "mailseal-sandbox.service": 1.0,
    "mailseal-queue.service": 1.8,
    "mailseal-web.service": 1.6,
}
"""The exposure that `systemd-analyze security` may find at most; 10 is the worst."""

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units with a program that exists here."""
    made = tmp_path_factory.mktemp("units")
    for unit in UNITS.glob("mailseal*"):
        (made / unit.name).write_text(unit.read_text().replace("/usr/bin/mailseal", sys.executable))
    return made


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


def test_systemd_understands_them(folder: Path) -> None:
    done = analyze("verify", "--man=no", *(str(unit) for unit in sorted(folder.iterdir())))
    assert (done.returncode, [line for line in done.stderr.splitlines() if "mailseal" in line]) == (0, [])


@pytest.mark.parametrize("name", SERVICES)
def test_little_is_left_open(folder: Path, name: str) -> None:
    done = analyze("security", "--offline=true", str(folder / name))
    (exposure,) = re.findall(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert float(exposure) <= SERVICES[name], done.stdout


def test_the_one_unit_leaves_the_private_postfix_what_it_needs() -> None:
    folder = from_values({}).postfix.folder
    found = dict(re.findall(r"^(\w+)=(.*)$", (UNITS / "mailseal.service").read_text(), re.MULTILINE))
    assert f"-{folder}" in found["ReadWritePaths"].split()
    assert "AF_NETLINK" in found["RestrictAddressFamilies"].split(), "Postfix asks for the machine's addresses by it"
    made = (UNITS / "tmpfiles.conf").read_text()
    assert re.search(rf"^d {folder} +0755 root root$", made, re.MULTILINE), "under /var/lib the unit can make nothing"


def test_the_sockets_are_those_of_the_table() -> None:
    config = from_values({"listen": {"smtp": "127.0.0.1:10025"}})
    listening = {}
    for unit in UNITS.glob("*.socket"):
        found = dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE))
        listening[found["FileDescriptorName"]] = found["ListenStream"]
    protocols = {"smtp", "documents", "https", *FROM_POSTFIX}
    plain = listening.pop("web-plain")
    assert listening.keys() == {info.name for info in SOCKETS if info.protocol in protocols}
    assert listening["smtp"] == str(config.listen.smtp)
    assert plain == "0.0.0.0:80", "where a CA asks"
    assert listening["sandbox"] == "/var/lib/mailseal/run/sandbox"
    for info in SOCKETS:
        if info.protocol in FROM_POSTFIX:
            assert listening[info.name] == f"/var/spool/postfix/mailseal/{info.name}"


def test_users_and_folders_are_understood(tmp_path: Path) -> None:
    for program, file in (("systemd-sysusers", "sysusers.conf"), ("systemd-tmpfiles", "tmpfiles.conf")):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
        etc = tmp_path / "etc"
        etc.mkdir(exist_ok=True)
        for name in ("passwd", "group", "shadow", "gshadow"):
            (etc / name).touch()
        with (etc / "group").open("a") as groups:
            groups.write("postfix:x:106:\n")
        create = ["--create"] if program == "systemd-tmpfiles" else []
        subprocess.run(
            [program, f"--root={tmp_path}", *create, str(UNITS / file)], capture_output=True, text=True, check=True
        )
    users = {line.split(":")[0]: line.split(":")[6] for line in (tmp_path / "etc" / "passwd").read_text().splitlines()}
    assert users == dict.fromkeys(
        ("mailseal", "mailseal-metrics", "mailseal-sandbox", "mailseal-web"), "/usr/sbin/nologin"
    )
    data = tmp_path / "var" / "lib" / "mailseal"
    assert data.stat().st_mode & 0o7777 == 0o710
    assert (data / "run" / "metrics").stat().st_mode & 0o7777 == 0o2750
    for name in ("web", "database"):
        assert (data / name).stat().st_mode & 0o7777 == 0o2750
        assert (data / name).stat().st_gid not in {data.stat().st_gid, (data / "spool").stat().st_gid}
    assert (data / "run" / "metrics").stat().st_gid == data.stat().st_gid != (data / "spool").stat().st_gid
