"""What can be wrong with a sealed value or a KEK. No text holds a key; `what_to_do` is for the administrator."""

from mailseal.errors import PermanentError, TransientError


class SealError(TransientError):
    """A sealed value cannot be opened now: mail waits until an administrator has put it right."""

    def __init__(self, text: str, what_to_do: str = "") -> None:
        super().__init__(text)
        self.what_to_do = what_to_do


class WrongKekError(SealError):
    """The value is sealed with another KEK."""


class BrokenSealError(SealError):
    """The value was changed, cut, or belongs to another row."""


class KekFileError(SealError):
    """A KEK file is missing, readable by others, or not a KEK."""


class KekNotThereError(KekFileError):
    """Nothing is at a place that is to hold KEKs."""


class KekMissingError(SealError):
    """The KEK that shall seal is not at hand, or none is named. Another one never takes its place."""


class KekExistsError(PermanentError):
    """There is a file already; a KEK is never overwritten."""
