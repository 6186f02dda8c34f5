"""What can be wrong with a backup; each says what to do."""

from mailseal.errors import PermanentError


class BackupError(PermanentError):
    """A backup cannot be made, read or restored. `what_to_do` is for the administrator."""

    def __init__(self, text: str, what_to_do: str = "") -> None:
        super().__init__(text)
        self.what_to_do = what_to_do


class NotABackupError(BackupError):
    """The file is something else."""


class DamagedBackupError(BackupError):
    """The file is cut off, or an octet of it was changed."""


class WrongPassphraseError(BackupError):
    """The passphrase does not open the file, or what the passphrase opens was changed."""


class ExistsError(BackupError):
    """There is something already where a file or folder shall be made."""
