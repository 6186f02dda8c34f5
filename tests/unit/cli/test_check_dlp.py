"""The check of DLP tells what cannot be read on this machine."""

from pathlib import Path

import pytest

from mailseal.cli.checks import dlp
from mailseal.config.load import from_values


def test_a_missing_libarchive_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = from_values({"data_dir": str(tmp_path), "hostname": "gw.test"})
    assert not list(dlp._reading(config))
    monkeypatch.setattr(dlp, "libarchive_problem", lambda: "libarchive is not there")
    (finding,) = dlp._reading(config)
    assert finding.status is dlp.Status.WARN
    assert "archives" in finding.text
