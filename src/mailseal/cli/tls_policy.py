"""`mailseal tls-policy`: how mail to other servers is to be secured. See docs/tls-policies.md."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailseal.cli import output
from mailseal.cli.errors import CommandError
from mailseal.cli.output import confirm, json_option, show, show_one, yes_option
from mailseal.cli.session import Session, pass_session
from mailseal.config import Config
from mailseal.mail.address import AddressError, domain_to_ascii
from mailseal.postfix.tls_choice import TlsRule
from mailseal.postfix.tls_destination import read_destination
from mailseal.postfix.tls_policy import LeastTls, Level, ServerName, TlsPolicy, read_fingerprint
from mailseal.roles.tls_journey import explained, journey_of, read_target
from mailseal.store import sts_policies, tls_policies
from mailseal.store.sts_policies import StsInfo
from mailseal.store.tls_kept import Weight, remarks
from mailseal.store.tls_policies import TlsRuleInfo

COLUMNS = ("destination", "level", "match", "fingerprints", "min_tls", "sni", "direct", "kept", "comment")
STS_COLUMNS = ("domain", "mode", "match", "dane", "until", "checked", "error")


@click.group("tls-policy")
def tls_policy() -> None:
    """TLS with other servers: per domain, or per next hop. Postfix asks for it each time it connects."""


@tls_policy.command("set")
@click.argument("destination")
@click.argument("level", type=output.one_of(Level), metavar="LEVEL")
@click.option("--match", multiple=True, metavar="NAME", help="What the certificate has to name, *.NAME: all below.")
@click.option("--fingerprint", multiple=True, metavar="SHA256", help="Of the certificate or of its public key.")
@click.option(
    "--certificate",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A PEM file: the fingerprint of its public key is taken.",
)
@click.option("--min-tls", type=click.Choice(["1.2", "1.3"]), help="The oldest version of TLS.")
@click.option("--sni", is_flag=True, help="Tell the server its name in the handshake, so that it picks a certificate.")
@click.option("--direct", is_flag=True, help="Deliver to the domain's own MX hosts, past smart hosts.")
@click.option("--comment", default="", help="For whoever reads the list.")
@click.option("--owner", default="", metavar="DOMAIN", help="Whose administrators look after it.")
@json_option
@pass_session
def set_(
    session: Session,
    *,
    destination: str,
    level: str,
    match: Sequence[str],
    fingerprint: Sequence[str],
    certificate: Sequence[Path],
    min_tls: str | None,
    sni: bool,
    direct: bool,
    comment: str,
    owner: str,
    as_json: bool,
) -> None:
    """Secure mail to a DESTINATION at a LEVEL.

    DESTINATION: example.com, *.example.com (which does not match example.com), or a next hop '[host]:port'. LEVEL:
    none, may, encrypt, dane, dane-only, fingerprint, verify, secure (docs/tls-policies.md).
    """
    policy = TlsPolicy(
        Level(level),
        tuple(map(_name, match)),
        (*map(read_fingerprint, fingerprint), *map(_key_fingerprint, certificate)),
        LeastTls(min_tls or ""),
        ServerName.HOST if sni else ServerName.NONE,
    )
    rule = TlsRule(read_destination(destination), policy, direct)
    config = _opened(session)

    said = list(remarks(rule, config))
    for one in said:
        if one.weight is Weight.REFUSED:
            raise CommandError(one.text, one.what_to_do)
    stored = tls_policies.set_rule(rule, comment=comment, owner=owner)
    row = _row(stored, config)
    show_one({name: row[name] for name in COLUMNS if row[name] not in ("", [], None, False)}, as_json=as_json)
    for one in said:
        click.echo(f"note: {one.text}; {one.what_to_do}", err=True)
    if rule.policy.level is Level.SECURE and not rule.policy.names:
        from mailseal.cli.tls_mx import exchanger_note  # noqa: PLC0415 -- asks the DNS, as no other level needs

        for note in exchanger_note(rule, config):
            click.echo(f"note: {note}", err=True)


@tls_policy.command("list")
@click.option("--mta-sts", is_flag=True, help="The MTA-STS policies that other domains publish, instead.")
@click.option("--all", "every", is_flag=True, help="With --mta-sts: also domains that have none.")
@json_option
@pass_session
def list_(session: Session, *, mta_sts: bool, every: bool, as_json: bool) -> None:
    """All policies, and whether each is kept."""
    config = _opened(session)

    if mta_sts:
        rows = [_sts_row(one) for one in sts_policies.list_policies(datetime.now(UTC), every=every)]
        show(rows, STS_COLUMNS, as_json=as_json, nothing="no domain that mail went to has an MTA-STS policy")
        return
    stored = [_row(one, config) for one in tls_policies.list_rules()]
    nothing = f"no TLS policy yet; the default is {config.tls.default}"
    show(stored, COLUMNS, as_json=as_json, nothing=nothing)


@tls_policy.command("show")
@click.argument("destination")
@json_option
@pass_session
def show_(session: Session, *, destination: str, as_json: bool) -> None:
    """Where mail for a domain goes, what Postfix asks for, which policy counts and why."""
    target = read_target(destination)
    config = _opened(session)

    show_one(explained(journey_of(target, config), config), as_json=as_json)


@tls_policy.command("test")
@click.argument("destination")
@json_option
@pass_session
def test(session: Session, *, destination: str, as_json: bool) -> int:
    """Connect as Postfix would, and say what would become of mail. Exit status 1 if it would wait."""
    from mailseal.roles.tls_trial import tried  # noqa: PLC0415 -- loads what asks the network

    target = read_target(destination)
    config = _opened(session)

    rows = tried(target, config)
    columns = ("asked_for", "policy", "server", "mail", "tls", "detail")
    show(rows, columns, as_json=as_json)
    return int(any(row["mail"] == "waits" for row in rows))


@tls_policy.command("unset")
@click.argument("destination")
@yes_option
@pass_session
def unset(session: Session, *, destination: str, yes: bool) -> None:
    """Secure mail to a destination as everything else: by its MTA-STS policy, next hop or default."""
    wanted = read_destination(destination)
    session.open_store()

    confirm(f"Delete the TLS policy of {wanted.key}?", yes=yes)
    if not tls_policies.unset_rule(wanted):
        raise CommandError(f"there is no TLS policy for {wanted.key}", "`mailseal tls-policy list` shows all")


def _opened(session: Session) -> Config:
    """The store is open; the configuration, with the Postfix that `serve` was started with (`--postfix`)."""
    config = session.config_as_it_runs
    session.open_store()
    return config


def _name(text: str) -> str:
    """A name of a certificate as a person writes it."""
    below = text.startswith("*.")
    try:
        ascii_name = domain_to_ascii(text[2:] if below else text)
    except AddressError as error:
        raise CommandError(f"{text!r} is no name: {error}") from None
    return f"*.{ascii_name}" if below else ascii_name


def _key_fingerprint(path: Path) -> str:
    """SHA-256 of the public key of a certificate: it stays when the certificate is renewed with the same key."""
    try:
        certificate = x509.load_pem_x509_certificate(output.read_file(path))
        spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except ValueError:
        raise CommandError(f"{path} holds no certificate in PEM") from None
    return hashlib.sha256(spki).hexdigest()


def _row(one: TlsRuleInfo, config: Config) -> dict[str, object]:
    rule = one.rule
    row: dict[str, object] = {"destination": one.destination}
    if rule is not None:
        policy = rule.policy
        row |= {
            "level": policy.level.value,
            "match": list(policy.names),
            "fingerprints": list(policy.fingerprints),
            "min_tls": policy.least_tls.value,
            "sni": policy.server_name.value,
            "direct": rule.direct,
        }
    else:
        row |= {"level": "?", "match": [], "fingerprints": [], "min_tls": "", "sni": "", "direct": False}
    problems = list(_problems(one, config))
    row |= {"kept": "; ".join(problems) if problems else "yes", "comment": one.comment, "owner": one.owner}
    return row | {"created": one.created}


def _problems(one: TlsRuleInfo, config: Config) -> Iterator[str]:
    if one.rule is None:
        yield "no: it cannot be read, so mail waits; set it again"
        return
    for remark in remarks(one.rule, config):
        if remark.weight is not Weight.NOTE:
            yield f"no: {remark.text}"


def _sts_row(one: StsInfo) -> dict[str, object]:
    return {
        "domain": one.domain,
        "mode": one.facts.mode.value or "-",
        "match": list(one.facts.names),
        "dane": one.facts.dane,
        "id": one.policy_id,
        "fetched": one.fetched,
        "until": one.expires,
        "checked": one.checked,
        "asked": one.asked,
        "failures": one.failures,
        "error": one.error,
    }
