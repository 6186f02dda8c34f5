"""The folders of a private Postfix: who can read its log."""

import os
import pwd
import stat

import pytest

from harness.everybody import KEEPER, OTHER
from harness.folder import short_folder
from mailseal.config import from_values
from mailseal.postfix import folders

pytestmark = pytest.mark.usefixtures("need_postfix")


def test_the_log_is_for_the_owner_of_the_data_folder_and_not_for_the_metrics_user():
    """The data folder has the group of the metrics user, who passes through it (`roles.users`)."""
    keeper, metrics = pwd.getpwnam(KEEPER), pwd.getpwnam(OTHER)
    with short_folder("folders") as folder:
        data = folder / "data"
        data.mkdir(mode=0o710)
        os.chown(data, keeper.pw_uid, metrics.pw_gid)
        postfix = {"instance": "private", "folder": str(folder / "postfix")}
        config = from_values({"data_dir": str(data), "postfix": postfix})
        folders.make(config)
        for path in (config.postfix.log_file.parent, config.postfix.log_file):
            found = path.stat()
            assert (found.st_uid, found.st_gid) == (0, keeper.pw_gid)
            assert not found.st_mode & stat.S_IRWXO
        config.postfix.log_file.unlink()
        folders.new_log(config)
        assert config.postfix.log_file.stat().st_gid == keeper.pw_gid
