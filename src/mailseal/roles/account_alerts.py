"""The mails that tell administrators of changes of accounts, trust, additional recipients and next hops."""

import logging
from collections.abc import Mapping
from types import MappingProxyType

from mailseal.mail.address import Address
from mailseal.notices.compose import Letter
from mailseal.notices.render import Rendered
from mailseal.roles import own_mail
from mailseal.roles.notice_sending import author_of, written
from mailseal.store.accounts import alerts
from mailseal.store.accounts.alerts import Alert, Change
from mailseal.store.jobs import Job
from mailseal.wiring.gateway import Node

logger = logging.getLogger(__name__)

_ENGLISH: Mapping[Change, str] = MappingProxyType(
    {
        Change.MADE: "{about} is an administrator of Mailseal now: a new account.",
        Change.ROLES: "{about} has become an administrator of Mailseal, or is none any more.",
        Change.ACTIVATED: "{about}, an administrator of Mailseal, may sign in again.",
        Change.DEACTIVATED: "{about}, an administrator of Mailseal, may sign in no longer.",
        Change.RESET: "Password and second factors of {about}, an administrator of Mailseal, were taken.",
        Change.LINK: "A one-time link was made to set the password of {about}, an administrator of Mailseal.",
        Change.RELEASING: "{about} may release held mail, or might: the account is new, or its roles, its password or "
        "whether it may sign in were changed.",
        Change.PROVIDER: "Accounts of Mailseal can sign in by the OpenID Connect provider {about}: new, or changed.",
        Change.ROOTS: "Roots, by which certificates are trusted, were added or deleted: {about}.",
        Change.ADDITIONAL: "To whom mail is encrypted besides its recipients was changed: {about}.",
        Change.NEXT_HOPS: "Where mail is sent on was changed: {about}.",
    }
)
_GERMAN: Mapping[Change, str] = MappingProxyType(
    {
        Change.MADE: "{about} ist jetzt Administrator von Mailseal: ein neues Konto.",
        Change.ROLES: "{about} ist Administrator von Mailseal geworden oder ist es nicht mehr.",
        Change.ACTIVATED: "{about}, Administrator von Mailseal, darf sich wieder anmelden.",
        Change.DEACTIVATED: "{about}, Administrator von Mailseal, darf sich nicht mehr anmelden.",
        Change.RESET: "Passwort und zweite Faktoren von {about}, Administrator von Mailseal, wurden entfernt.",
        Change.LINK: "Ein Einmal-Link zum Setzen des Passworts wurde erstellt für {about}, Administrator von Mailseal.",
        Change.RELEASING: "{about} darf angehaltene Mails freigeben oder durfte es: Das Konto ist neu, oder geändert "
        "wurden seine Rollen, sein Passwort oder ob es sich anmelden darf.",
        Change.PROVIDER: "Konten von Mailseal können sich über den OpenID-Connect-Anbieter {about} anmelden: "
        "neu oder geändert.",
        Change.ROOTS: "Wurzelzertifikate, durch die Zertifikaten vertraut wird, wurden hinzugefügt oder gelöscht: "
        "{about}.",
        Change.ADDITIONAL: "Geändert wurde, für wen Mails außer für ihre Empfänger verschlüsselt werden: {about}.",
        Change.NEXT_HOPS: "Geändert wurde, wohin Mails weitergegeben werden: {about}.",
    }
)


_SUBJECTS: Mapping[Change, str] = MappingProxyType(
    {
        Change.RELEASING: "who releases held mail",
        Change.ROOTS: "roots changed",
        Change.ADDITIONAL: "additional recipients changed",
        Change.NEXT_HOPS: "next hops changed",
    }
)
_SUBJECTS_GERMAN: Mapping[Change, str] = MappingProxyType(
    {
        Change.RELEASING: "wer angehaltene Mails freigibt",
        Change.ROOTS: "Wurzelzertifikate geändert",
        Change.ADDITIONAL: "zusätzliche Empfänger geändert",
        Change.NEXT_HOPS: "Weitergabe geändert",
    }
)


def send_alert(node: Node, job: Job) -> float | None:
    """Send one; as of `handlers.Handler`."""
    alert = alerts.of(job)
    reader = Address.parse(alert.reader)
    party = node.gateway.directory.party(reader)
    hostname = node.config.hostname
    letter = Letter(author_of(party, hostname), reader, f"<{job.id.hex}@{hostname}>", job.created)
    settings = party.settings
    envelope_from = Address.parse(settings.notice_envelope_from) if settings.notice_envelope_from else None
    content = written(node, letter, words_of(alert, hostname))
    own_mail.send(node.gateway, job, content, envelope_from, reader, None)
    logger.info("an administrator was told of a change: %s", alert.change.value)
    return None


def words_of(alert: Alert, hostname: str) -> Rendered:
    """What it says, in the reader's language."""
    by = f"{alert.by} ({alert.way}{', ' + alert.place if alert.place else ''})"
    if alert.language == "de":
        subject = f"Mailseal {hostname}: {_SUBJECTS_GERMAN.get(alert.change, 'Administratoren geändert')}"
        rest = f"Durch: {by}\n\nWaren Sie oder jemand, dem Sie vertrauen, das nicht? Dann sehen Sie im Audit nach."
        text = _GERMAN[alert.change]
    else:
        subject = f"Mailseal {hostname}: {_SUBJECTS.get(alert.change, 'administrators changed')}"
        rest = f"By: {by}\n\nWas that not you, nor somebody whom you trust? Then look into the audit."
        text = _ENGLISH[alert.change]
    return Rendered(subject, f"{text.format(about=alert.about)}\n{rest}\n", "")
