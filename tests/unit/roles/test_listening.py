"""Where sockets are made: what root makes for one stays within what root asked for."""

import os
import socket
import stat
from pathlib import Path

import pytest

from harness.folder import free_port
from mailseal.config import Endpoint
from mailseal.roles import listening


def test_a_folder_that_becomes_a_link_changes_nothing_elsewhere(tmp_path, monkeypatch):
    """Of whom has taken over a mail worker: the folder of the socket is theirs, and root makes it anew."""
    victim, place = tmp_path / "victim", tmp_path / "run" / "lmtp"
    victim.mkdir(mode=0o711)
    really = os.mkdir

    def mkdir(path, *rest):
        really(path, *rest)
        Path(path).rename(f"{path}.aside")
        Path(path).symlink_to(victim)

    monkeypatch.setattr(os, "mkdir", mkdir)
    listening.bind(Endpoint(path=place), "no-such-group").close()
    assert stat.S_IMODE(victim.stat().st_mode) == 0o711


def test_a_folder_is_made_for_who_connects_whatever_the_umask(tmp_path):
    place = tmp_path / "mta" / "lmtp"
    before = os.umask(0o077)
    try:
        listening.bind(Endpoint(path=place), "no-such-group").close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path(place).stat().st_mode) == 0o660
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o750


@pytest.mark.parametrize("tcp", [False, True])
def test_where_somebody_listens_they_are_left_alone(tmp_path, tcp):
    """After a crash that may be a worker which still drains."""
    place = Endpoint(host="127.0.0.1", port=free_port()) if tcp else Endpoint(path=tmp_path / "lmtp")
    with listening.bind(place, "no-such-group") as held:
        with pytest.raises(listening.InUseError):
            listening.bind(place, "no-such-group")
        with socket.socket(held.family) as client:
            client.connect(held.getsockname())
            held.accept()[0].close()
    listening.bind(place, "no-such-group").close()
