"""Notices of one mail: whether there are any, so that the end of an SMTP transaction knows what to conclude."""

from mailseal.ports import Notice, Notices


class NoticesOfOneMail:
    """Implements `ports.Notices` over another; `used` is true once a notice is or may be asked for."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self.used = False

    def request(self, notice: Notice) -> None:
        """As of Notices."""
        self.used = True
        self._notices.request(notice)
