"""Deployment facts of one node: mailseal.toml and the environment; sockets and ports. Standard library only."""

from mailseal.config.load import ConfigError, Problem, find, from_values, load
from mailseal.config.model import Config, Database, Keys, Ledger, Limits, Listen, Log, Relay
from mailseal.config.reference import commented_file, page
from mailseal.config.sockets import LMTP_AUTHORISED, LMTP_OUTSIDE, SMTP, SOCKETS, SocketInfo, listeners
from mailseal.config.values import BareLf, Endpoint, LogFormat, LogLevel, Network, NextHop, Protocol

__all__ = [
    "LMTP_AUTHORISED",
    "LMTP_OUTSIDE",
    "SMTP",
    "SOCKETS",
    "BareLf",
    "Config",
    "ConfigError",
    "Database",
    "Endpoint",
    "Keys",
    "Ledger",
    "Limits",
    "Listen",
    "Log",
    "LogFormat",
    "LogLevel",
    "Network",
    "NextHop",
    "Problem",
    "Protocol",
    "Relay",
    "SocketInfo",
    "commented_file",
    "find",
    "from_values",
    "listeners",
    "load",
    "page",
]
