"""Deployment facts of one node: mailseal.toml and the environment; sockets and ports. Standard library only."""

from mailseal.config.load import ConfigError, find, from_values, load
from mailseal.config.model import Config
from mailseal.config.next_hop import NextHop, Protocol, Tls
from mailseal.config.problem import Problem
from mailseal.config.reference import commented_file, page
from mailseal.config.sections.database import Database
from mailseal.config.sections.discover import Discover
from mailseal.config.sections.dlp import Dlp
from mailseal.config.sections.keys import Keys
from mailseal.config.sections.ledger import Ledger
from mailseal.config.sections.limits import Limits
from mailseal.config.sections.listen import Listen, StartTls
from mailseal.config.sections.log import Log, LogAddresses, LogDestination, LogSink
from mailseal.config.sections.metrics import Metrics
from mailseal.config.sections.office365 import Office365, OtherTenants
from mailseal.config.sections.postfix import Instance, Postfix
from mailseal.config.sections.relay import Relay
from mailseal.config.sections.tls import DefaultLevel, TlsPolicies
from mailseal.config.sections.web import Web
from mailseal.config.sockets import (
    AUTH,
    FOR_OWNER,
    LMTP_AUTHORISED,
    LMTP_OFFICE365,
    LMTP_OUTSIDE,
    LMTP_SUBMISSION,
    MAIL_SOCKETS,
    METRICS,
    QUEUE,
    SANDBOX,
    SMTP,
    SOCKETMAP,
    SOCKETS,
    WEB,
    WEB_PLAIN,
    SocketInfo,
    group_of,
    listeners,
)
from mailseal.config.values import BareLf, Endpoint, LogFormat, LogLevel, Network

__all__ = [
    "AUTH",
    "FOR_OWNER",
    "LMTP_AUTHORISED",
    "LMTP_OFFICE365",
    "LMTP_OUTSIDE",
    "LMTP_SUBMISSION",
    "MAIL_SOCKETS",
    "METRICS",
    "QUEUE",
    "SANDBOX",
    "SMTP",
    "SOCKETMAP",
    "SOCKETS",
    "WEB",
    "WEB_PLAIN",
    "BareLf",
    "Config",
    "ConfigError",
    "Database",
    "DefaultLevel",
    "Discover",
    "Dlp",
    "Endpoint",
    "Instance",
    "Keys",
    "Ledger",
    "Limits",
    "Listen",
    "Log",
    "LogAddresses",
    "LogDestination",
    "LogFormat",
    "LogLevel",
    "LogSink",
    "Metrics",
    "Network",
    "NextHop",
    "Office365",
    "OtherTenants",
    "Postfix",
    "Problem",
    "Protocol",
    "Relay",
    "SocketInfo",
    "StartTls",
    "Tls",
    "TlsPolicies",
    "Web",
    "commented_file",
    "find",
    "from_values",
    "group_of",
    "listeners",
    "load",
    "page",
]
