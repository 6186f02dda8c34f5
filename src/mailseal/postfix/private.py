"""What a private instance has beside it: its places, nothing local, and Postfix's own services (master(5))."""

from collections.abc import Iterator
from pathlib import Path

from mailseal.config import Config
from mailseal.postfix import entry
from mailseal.postfix.parts import Rendering, Service, Setting, Surroundings

COMPATIBILITY = "3.6"


def etc_dir(folder: Path) -> Path:
    """Where its main.cf and master.cf are."""
    return folder / "etc"


def private(config: Config, around: Surroundings) -> Rendering:
    """To stand before what every Postfix needs."""
    return Rendering(tuple(_settings(config, around)), tuple(_services(config, around)))


def _settings(config: Config, around: Surroundings) -> Iterator[Setting]:
    postfix = config.postfix
    folder = postfix.folder
    topic = "A private instance: its own folders, its own log"
    yield Setting("compatibility_level", COMPATIBILITY, topic)
    yield Setting("queue_directory", str(postfix.queue_dir), topic)
    yield Setting("data_directory", str(folder / "data"), topic)
    yield Setting("maillog_file", str(postfix.log_file), topic)
    yield Setting("maillog_file_prefixes", str(postfix.log_file.parent), topic)
    yield Setting("inet_interfaces", "all", topic)
    yield Setting("inet_protocols", "all" if around.ipv6 else "ipv4", topic)
    topic = "Nothing is delivered here, nobody is trusted, and only root hands in mail by sendmail(1)"
    yield Setting("mydestination", "", topic)
    yield Setting("local_recipient_maps", "inline:{ { nobody = here } }", topic)
    yield Setting("local_transport", "error:no mail is delivered here", topic)
    yield Setting("alias_maps", "", topic)
    yield Setting("alias_database", "", topic)
    yield Setting("mynetworks", "", topic)
    yield Setting("smtpd_relay_restrictions", "reject_unauth_destination", topic)
    yield Setting("authorized_submit_users", "root", topic)
    yield Setting("fast_flush_domains", "", topic)
    yield Setting("notify_classes", "", topic)


def _services(config: Config, around: Surroundings) -> Iterator[Service]:
    filtered = (("content_filter", entry.to_authorised(config, around)),)
    yield Service("pickup", "unix", "pickup", "n", "60", "1", filtered)
    yield Service("cleanup", "unix", "cleanup", "n", most="0")
    yield Service("qmgr", "unix", "qmgr", "n", "300", "1")
    yield Service("tlsmgr", "unix", "tlsmgr", wakeup="1000?", most="1")
    yield Service("rewrite", "unix", "trivial-rewrite")
    for name in ("bounce", "defer", "trace"):
        yield Service(name, "unix", "bounce", most="0")
    yield Service("verify", "unix", "verify", most="1")
    yield Service("flush", "unix", "flush", "n", "1000?", "0")
    yield Service("proxymap", "unix", "proxymap")
    yield Service("proxywrite", "unix", "proxymap", most="1")
    for name in ("smtp", "relay"):
        yield Service(name, "unix", "smtp")
    yield Service("showq", "unix", "showq", "n")
    for name in ("error", "retry"):
        yield Service(name, "unix", "error")
    yield Service("discard", "unix", "discard")
    yield Service("lmtp", "unix", "lmtp")
    yield Service("anvil", "unix", "anvil", most="1")
    yield Service("scache", "unix", "scache", most="1")
    yield Service("postlog", "unix-dgram", "postlogd", "n", most="1")
