"""Which addresses are called, and which are not."""

import pytest

from mailseal.discover.public_address import is_public


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "100.64.0.1", "169.254.169.254", "172.31.255.255",
        "192.168.1.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1",
        "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "2606:4700::1%1",
        "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "2001::1", "2002:7f00:1::", "64:ff9b::7f00:1",
        "64:ff9b::10.0.0.1", "64:ff9b:1::1", "100::1", "5f00::1", "fec0::1", "3fff::1", "", "localhost",
        "2130706433", "0x7f.1", "127.1", "8.8.8.8 ",
    ],
)  # fmt: skip
def test_not_called(text):
    assert not is_public(text)


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1", "64:ff9b::8.8.8.8"]
)
def test_called(text):
    assert is_public(text)
