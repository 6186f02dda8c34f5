"""What the worker does for the console: one row per action in ACTIONS. Nothing it answers outlives ten minutes.

Whoever can write to the database can ask for any of them: an action does what the console may offer somebody, no more.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from uuid import UUID

from mailseal.errors import MailsealError, PermanentError, TransientError
from mailseal.keys.hpke import PrivateKey
from mailseal.roles import (
    console_audit,
    console_certificates,
    console_checks,
    console_dkim,
    console_dlp,
    console_explain,
    console_notices,
    console_pgp,
    console_pgp_network,
    console_quarantine,
    console_queue,
    console_routes,
    console_server_certificates,
    console_tls,
)
from mailseal.roles.log_lines import places
from mailseal.store import console_jobs, console_keys, console_parcels
from mailseal.store.acting import Acting, acting
from mailseal.store.console_jobs import Done, Failed, Json, Request
from mailseal.store.console_parcels import ParcelTooLargeError
from mailseal.store.jobs import Job
from mailseal.store.pace import Turn
from mailseal.store.transaction import StoreUnavailable
from mailseal.wiring.gateway import Node

FORGET = "console-forget"
FORGET_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 30.0

logger = logging.getLogger(__name__)

Action = Callable[[Node, Mapping[str, Json], bytes, Acting], Json]
"""Does what is asked with these arguments and this upload, for whom; what it returns JSON can say.

A MailsealError is told to who asked, by its text; of any other exception the log says where it came from.
"""


def greet(node: Node, arguments: Mapping[str, Json], blob: bytes, who: Acting) -> Json:  # noqa: ARG001 -- an Action's signature
    """Say that the worker is there, and its node: what the console asks to know whether it is."""
    return {"node": node.config.node}


ACTIONS: Mapping[str, Action] = {
    "greet": greet,
    "explain": console_explain.explain_mail,
    "audit-verify": console_audit.verify,
    "checks": console_checks.run_checks,
    "quarantine-view": console_quarantine.view,
    "certificate-fingerprints": console_certificates.read_fingerprints,
    "certificate-import": console_certificates.import_certificates,
    "crl-import": console_certificates.import_crl,
    "dkim-check": console_dkim.check,
    "dkim-enable": console_dkim.enable,
    "dkim-generate": console_dkim.generate,
    "dkim-import": console_dkim.import_key,
    "dlp-extract": console_dlp.extract,
    "dlp-test": console_dlp.test,
    "notice-languages": console_notices.languages,
    "notice-preview": console_notices.preview,
    "notice-template": console_notices.current,
    "pgp-add-user-id": console_pgp.add_user_id,
    "pgp-certify": console_pgp.certify,
    "pgp-expire": console_pgp.set_expiry,
    "pgp-generate": console_pgp.generate,
    "pgp-import": console_pgp.import_keys,
    "pgp-lookup": console_pgp_network.look_up,
    "pgp-publish": console_pgp_network.publish,
    "pgp-revoke": console_pgp.revoke,
    "queue-change": console_queue.change,
    "queue-list": console_queue.list_queue,
    "queue-show": console_queue.show_mail,
    "root-import": console_certificates.import_roots,
    "route-password": console_routes.keep_password,
    "server-certificate-accept": console_server_certificates.accept,
    "server-certificate-acme": console_server_certificates.by_acme,
    "server-certificate-import": console_server_certificates.import_,
    "server-certificate-request": console_server_certificates.request,
    "server-certificate-self-signed": console_server_certificates.self_signed,
    "tls-problems": console_tls.problems,
    "tls-set": console_tls.set_policy,
    "tls-show": console_tls.show_way,
    "tls-test": console_tls.try_way,
}
"""Every action by its name, as `console_jobs.ask` has it."""


_UNDER_WAY: set[UUID] = set()
_LOCK = threading.Lock()


def do_for_console(node: Node, job: Job) -> float | None:
    """Do what a job asks, once: who asked sees whether it failed, and can ask again. Raises StoreUnavailable.

    What takes longer than its lease is claimed again, by the other thread here: that one waits.
    """
    with _LOCK:
        if job.id in _UNDER_WAY:
            return LOOK_AGAIN_SECONDS
        _UNDER_WAY.add(job.id)
    try:
        _do(node, job)
    finally:
        _UNDER_WAY.discard(job.id)
    return None


def _do(node: Node, job: Job) -> None:
    key = console_keys.open_intake(node.kek)
    request = _request(job, key)
    reader = console_keys.public(console_keys.WEB)
    if request is None or reader is None:
        console_parcels.drop(job.id, console_parcels.ASK)
        return
    with acting(request.acting):
        said = _done(node, request)
    try:
        console_jobs.answer(job, request, said, reader)
    except ParcelTooLargeError as error:
        console_jobs.answer(job, request, Failed(str(error), transient=False), reader)


def _request(job: Job, key: PrivateKey) -> Request | None:
    try:
        return console_jobs.open_request(job, key)
    except MailsealError:
        console_parcels.drop(job.id, console_parcels.ASK)
        raise


def _done(node: Node, request: Request) -> Done | Failed:
    action = ACTIONS.get(request.action)
    if action is None:
        return Failed("the job worker does not know how to do that: is it of another release?", transient=False)
    try:
        return Done(action(node, request.arguments, request.blob, request.acting))
    except StoreUnavailable:
        raise
    except PermanentError as error:
        return Failed(str(error), transient=False)
    except TransientError as error:
        return Failed(str(error), transient=True)
    except Exception as error:  # noqa: BLE001 -- who asked is told, and the lane goes on
        # Its text may hold what was uploaded.
        logger.error("%s for the console failed: %s", request.action, places(error))
        return Failed("that failed unexpectedly; the log of the job worker says where", transient=False)


def forget_expired(node: Node, job: Job) -> float | None:  # noqa: ARG001 -- a Handler's signature
    """Delete what nobody has fetched in time."""
    turn = Turn(FORGET_SECONDS)
    console_parcels.purge(turn)
    return 1.0 if turn.cut_off else None
