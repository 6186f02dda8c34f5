"""The whole of what a Postfix is told, for the instance that the configuration names."""

from mailseal.config import Config, Instance
from mailseal.postfix.entry import to_authorised
from mailseal.postfix.gateway import gateway
from mailseal.postfix.overrides import with_overrides
from mailseal.postfix.parts import Rendering, Surroundings
from mailseal.postfix.private import private

PICKUP = "pickup/unix"
"""The service, Postfix's own, that takes what sendmail(1) leaves."""


def render(config: Config, around: Surroundings) -> Rendering:
    """Settings and services: all of a private instance, else what is ours in the machine's; raises RefusedSettingError.

    A gateway without a Postfix has the rendering of the machine's.
    """
    ours = gateway(config, around)
    if config.postfix.instance is Instance.PRIVATE:
        ours = private(config, around).joined(ours)
    else:
        ours = Rendering(ours.settings, ours.services, ((PICKUP, "content_filter", to_authorised(config, around)),))
    return with_overrides(ours, dict(config.postfix.settings))
