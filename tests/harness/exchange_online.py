"""A stand-in for Exchange Online: a Postfix that routes by its rules, takes cross-tenant fields off and puts them on.

    users    (mailboxes of our tenant)  ─┐ takes the fields off,      ┌─ stamps our tenant, Internal       ─┐
    mx       (the world)                ─┤ leads all to the gateway ─►├─ stamps our tenant, Anonymous      ─┼─► gateway
    partner  (users of another tenant)  ─┘                            └─ stamps the other tenant, Internal ─┘
    connector (the gateway, by its client certificate): with a loop header on to `final`, without it to the gateway
    final    by domain: mailboxes here, or the world

As of docs/office365.md, rules 1 to 4 of `mailseal profile office365`.
"""

from __future__ import annotations

from pathlib import Path

from harness import tls_servers
from harness.bare_postfix import BarePostfix
from harness.folder import free_port

TENANT = "11111111-2222-3333-4444-555555555555"
OTHER_TENANT = "99999999-8888-7777-6666-555555555555"
HOST = "alpha-example.mail.protection.test"
_STAMPS = {"internal": (TENANT, "Internal"), "anonymous": (TENANT, "Anonymous"), "partners": (OTHER_TENANT, "Internal")}


class ExchangeOnline(BarePostfix):
    """`gateway`: the port of the gateway's entry and its name. `mailboxes`, `world`: ports of sinks."""

    def __init__(self, folder: Path, domain: str, gateway: tuple[int, str], *, mailboxes: int, world: int) -> None:
        folder.mkdir(parents=True)
        self.users, self.mx, self.partner, self.connector, self.final = (free_port() for _ in range(5))
        self.identity = tls_servers.issue(HOST, "mail.protection.test", eku=tls_servers.SERVER_AUTH)
        server = tls_servers.write(folder, self.identity, "server")
        client = tls_servers.write(
            folder, tls_servers.issue("mail.protection.test", eku=tls_servers.CLIENT_AUTH), "client"
        )
        self.ca = tls_servers.write_ca(folder)
        self.client_certificate = client
        self.gateway, name = gateway
        settings = {
            "smtpd_tls_security_level": "none",
            "smtp_tls_security_level": "none",
            "disable_mime_output_conversion": "yes",
            "smtp_line_length_limit": "0",
            "bounce_size_limit": "50000",
            "transport_maps": f"inline:{{ {{ {domain} = smtp:[127.0.0.1]:{mailboxes} }} }}",
            "relayhost": f"[127.0.0.1]:{world}",
        }
        services = ""
        for where, stamp in ((self.users, "internal"), (self.mx, "anonymous"), (self.partner, "partners")):
            services += (
                f"127.0.0.1:{where} inet n - n - - smtpd\n"
                f"  -o cleanup_service_name=stripping -o content_filter={stamp}:[127.0.0.1]:{self.gateway}\n"
            )
        services += (
            f"127.0.0.1:{self.connector} inet n - n - - smtpd\n"
            f"  -o cleanup_service_name=returning -o content_filter=anonymous:[127.0.0.1]:{self.gateway}\n"
            f"  -o smtpd_tls_security_level=encrypt -o smtpd_tls_chain_files={server}\n"
            f"  -o smtpd_tls_ask_ccert=yes -o smtpd_tls_CAfile={self.ca}\n"
            "  -o smtpd_recipient_restrictions=permit_tls_all_clientcerts,reject\n"
            f"127.0.0.1:{self.final} inet n - n - - smtpd\n"
            f"stripping unix n - n - 0 cleanup -o header_checks=regexp:{folder}/strip\n"
            f"returning unix n - n - 0 cleanup -o header_checks=regexp:{folder}/return\n"
        )
        for stamp, (tenant, sender) in _STAMPS.items():
            services += (
                f"{stamp} unix - - n - - smtp -o smtp_header_checks=regexp:{folder}/{stamp}\n"
                "  -o smtp_tls_security_level=secure\n"
                f"  -o smtp_tls_secure_cert_match={name} -o smtp_tls_CAfile={self.ca}\n"
                f"  -o smtp_tls_chain_files={client}\n"
            )
            (folder / stamp).write_text(
                f"/^Message-ID:/ PREPEND X-MS-Exchange-CrossTenant-Id: {tenant}\n"
                f"/^From:/ PREPEND X-MS-Exchange-CrossTenant-AuthAs: {sender}\n"
            )
        strip = "/^X-MS-Exchange-CrossTenant-/ IGNORE\n"
        (folder / "strip").write_text(strip)
        loop = f"/^X-Mailseal-Loop: v=1; t=[0-9]+; m=/ FILTER smtp:[127.0.0.1]:{self.final}\n"
        (folder / "return").write_text(strip + loop)
        super().__init__(folder, "exchange-online.test", settings, services, port=self.final)

    def given_to_gateway(self) -> int:
        """How many deliveries to the gateway there were, for a mail with several recipients one or more."""
        taken = f"relay=127.0.0.1[127.0.0.1]:{self.gateway}, "
        return sum(taken in line and "status=sent" in line for line in self.maillog().splitlines())
