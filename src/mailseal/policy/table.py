"""Every setting: its type, default, unit, help, how sender's and recipient's values combine, and what is weaker.

This table, in parts by method, is the only place where a setting is described: parsing, combining, locking, the
reference page and the command line read it. See docs/policy.md, which is written from it.
"""

from dataclasses import dataclass, fields

from mailseal.policy.setting_info import SettingInfo
from mailseal.policy.table_notices import NoticeSettings


@dataclass(frozen=True, slots=True)
class Settings(NoticeSettings):
    """The value of every setting for one party, or combined for a pair. `Settings()` is the factory level."""


SETTINGS: tuple[SettingInfo, ...] = tuple(
    SettingInfo(name=one.name, type=type(one.default), default=one.default, **one.metadata) for one in fields(Settings)
)
