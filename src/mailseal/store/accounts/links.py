"""One-time links: by them somebody sets the first password of an account, or another one.

The secret stands behind the # of the link, which a browser does not send: it is in no log of a server or proxy.
"""

from datetime import datetime, timedelta
from uuid import UUID

from mailseal.store import audit
from mailseal.store.accounts import alerts, passwords, sessions
from mailseal.store.accounts.alerts import Change
from mailseal.store.accounts.errors import AccountError
from mailseal.store.accounts.models import Account, LinkRow
from mailseal.store.accounts.secret_text import MAX_SECRET_CHARS, digest, new_secret
from mailseal.store.row import utc_now
from mailseal.store.transaction import reads, run, writes

PREFIX = "mslink_"
LIFE = timedelta(hours=24)
MAX_LIFE = timedelta(days=7)
PATH = "/account/link/"
NO_LINK = "the link is not valid: it was used, has expired, or a later one was made"


@writes
def make(account_id: UUID, life: timedelta = LIFE) -> tuple[str, datetime]:
    """The secret of a new link, which nobody can see again, and when it expires; earlier ones end.

    Raises AccountError. The account keeps its password until the link is used.
    """
    account = Account.objects.select_for_update().filter(pk=account_id, is_active=True).first()
    if account is None:
        raise AccountError("there is no such account, or it is not active")
    if not timedelta(0) < life <= MAX_LIFE:
        raise AccountError(f"a link is good for {MAX_LIFE.days} days at most")
    LinkRow.objects.filter(account=account, used=None).delete()
    secret, expires = new_secret(PREFIX), utc_now() + life
    LinkRow(account=account, digest=digest(secret), expires=expires).save(force_insert=True)
    # Not of the first link of a new account, which has been told of; who has no password may have a passkey.
    if account.has_usable_password() or account.last_login is not None:
        alerts.tell(Change.LINK, account, account.roles)
    audit.record("accounts", "make-link", account.email, after={"expires": expires.isoformat()})
    return secret, expires


def email_of(secret: str) -> str:
    """Whose link that is; raises AccountError when it is not valid."""
    return _of(secret)[0]


def use(secret: str, password: str) -> str:
    """Set an account's password by a link, which is used up then; the account's email.

    Raises AccountError, WeakPasswordError. All sessions of the account end; second factors stay.
    """
    email, name = _of(secret)
    hashed = passwords.hashed(password, email, name)

    def work() -> None:
        row = _valid(secret)
        account = Account.objects.select_for_update().get(pk=row.account_id)
        if not LinkRow.objects.filter(pk=row.pk, used=None).update(used=utc_now()):
            raise AccountError(NO_LINK)
        account.password = hashed
        account.save(update_fields=["password"])
        sessions.end_all(account.pk)
        audit.record("accounts", "use-link", account.email)

    run(work)
    return email


@reads
def _of(secret: str) -> tuple[str, str]:
    """Email and name of its account."""
    account = _valid(secret).account
    return str(account.email), str(account.name)


def _valid(secret: str) -> LinkRow:
    row = None
    if secret.startswith(PREFIX) and len(secret) <= MAX_SECRET_CHARS:
        found = LinkRow.objects.select_related("account").filter(digest=digest(secret), used=None)
        row = found.filter(expires__gt=utc_now(), account__is_active=True).first()
    if row is None:
        raise AccountError(NO_LINK)
    return row
