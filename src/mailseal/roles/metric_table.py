"""Every metric: its name, what it means and what to be woken up for. `docs/metrics.md` is made from this table.

Labels have values from closed lists only: never an address, a domain, a host or a text of somebody else.
"""

from mailseal.roles.metric_info import PREFIX, By, Kind, Merge, MetricInfo

__all__ = ["METRICS", "PREFIX", "By", "Kind", "Merge", "MetricInfo"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 240.0)
_BYTES = tuple(float(4**exponent << 10) for exponent in range(9))

MESSAGES = "messages"
REFUSALS = "refusals"
MAIL_SECONDS = "mail_seconds"
MAIL_BYTES = "mail_bytes"
NEXT_HOP_FAILURES = "next_hop_failures"
STORE_UNAVAILABLE = "store_unavailable"
JOURNAL_ERRORS = "journal_errors"
LOG_ERRORS = "log_errors"
MAILS_IN_FLIGHT = "mails_in_flight"
BYTES_IN_FLIGHT = "bytes_in_flight"
BYTES_LIMIT = "bytes_in_flight_limit"
CONNECTIONS = "connections"
CONNECTIONS_LIMIT = "connections_limit"
LAST_POLL = "last_poll_timestamp_seconds"
READY = "processes_ready"
EXPECTED = "processes_expected"
JOBS = "jobs"
JOBS_WAITING = "jobs_waiting"
JOB_LAG = "job_lag_seconds"
ROWS_IMPORTED = "log_rows_imported"
JOURNAL_IMPORTED = "journal_imported_timestamp_seconds"
JOURNAL_BAD_LINES = "journal_bad_lines"
JOURNAL_BYTES = "journal_bytes"
CERTIFICATES_DUE = "certificates_due"
KEY_EXPIRY = "key_expiry_timestamp_seconds"
KEYS_EXPIRING = "keys_expiring"
QUEUE_MAILS = "queue_mails"
QUEUE_RECIPIENTS = "queue_recipients_waiting"
QUEUE_OLDEST = "queue_oldest_timestamp_seconds"
QUEUE_SEEN = "queue_seen_timestamp_seconds"
MTA_STS_DOMAINS = "mta_sts_domains"
HELD_MAILS = "quarantine_mails"
HELD_OLDEST = "quarantine_oldest_timestamp_seconds"
HELD_NEXT_END = "quarantine_next_expiry_timestamp_seconds"
DOCUMENT_SECONDS = "document_seconds"
DOCUMENTS_UNREAD = "documents_unread"
MAP_ANSWERS = "map_answers"
LOGINS = "logins"
HEARTBEAT = "heartbeat_timestamp_seconds"
BUILD = "build_info"

METRICS: tuple[MetricInfo, ...] = (
    MetricInfo(
        name=MESSAGES,
        kind=Kind.COUNTER,
        by=By.MAIL,
        labels=("direction", "method", "treatment", "outcome"),
        help="Recipients' copies of handled mails; what came again and was settled before counts again.",
        alert='rate(mailseal_messages_total{outcome="deferred"}[10m]) > 0.1',
    ),
    MetricInfo(
        name=REFUSALS,
        kind=Kind.COUNTER,
        by=By.MAIL,
        labels=("outcome", "reason"),
        help="Copies that were refused, deferred, held, kept or answered with a report, by the last of their reasons.",
        alert='increase(mailseal_refusals_total{reason="unexpected-failure"}[1h]) > 0',
    ),
    MetricInfo(
        name=MAIL_SECONDS,
        kind=Kind.HISTOGRAM,
        by=By.MAIL,
        labels=("client",),
        buckets=_SECONDS,
        help="From the final dot of a mail to its replies, by the class of its client.",
        alert="histogram_quantile(0.99, sum by (le) (rate(mailseal_mail_seconds_bucket[10m]))) > 30",
    ),
    MetricInfo(
        name=MAIL_BYTES,
        kind=Kind.HISTOGRAM,
        by=By.MAIL,
        buckets=_BYTES,
        help="Size of handled mails as they came.",
    ),
    MetricInfo(
        name=NEXT_HOP_FAILURES,
        kind=Kind.COUNTER,
        by=By.MAIL,
        labels=("hop",),
        help="Copies that a next hop deferred or could not be asked about, by side.",
        alert="rate(mailseal_next_hop_failures_total[5m]) > 0",
    ),
    MetricInfo(
        name=STORE_UNAVAILABLE,
        kind=Kind.COUNTER,
        by=By.EVERY,
        labels=("role",),
        help="How often a process found the database away: a mail that was deferred for it, a poll, a turn of a loop.",
        alert="increase(mailseal_store_unavailable_total[5m]) > 0",
    ),
    MetricInfo(
        name=JOURNAL_ERRORS,
        kind=Kind.COUNTER,
        by=By.MAIL,
        help="Mails that found the journal not to be writable; they are deferred (451) until it is.",
        alert="increase(mailseal_journal_errors_total[5m]) > 0",
    ),
    MetricInfo(
        name=LOG_ERRORS,
        kind=Kind.COUNTER,
        by=By.EVERY,
        help="Lines that could not be written where `log.destination` wants them.",
        alert="increase(mailseal_log_errors_total[5m]) > 0",
    ),
    MetricInfo(
        name=MAILS_IN_FLIGHT,
        kind=Kind.GAUGE,
        by=By.MAIL,
        merge=Merge.LIVE_SUM,
        help="Mails after their final dot and before their replies, those that wait for a thread among them.",
    ),
    MetricInfo(
        name=BYTES_IN_FLIGHT,
        kind=Kind.GAUGE,
        by=By.MAIL,
        merge=Merge.LIVE_SUM,
        help="Octets of mails that are coming in or in work.",
        alert="mailseal_bytes_in_flight > 0.8 * mailseal_bytes_in_flight_limit",
    ),
    MetricInfo(
        name=BYTES_LIMIT,
        kind=Kind.GAUGE,
        by=By.METRICS,
        help="The most that there can be: `limits.max_bytes_in_flight` of all mail workers.",
    ),
    MetricInfo(
        name=CONNECTIONS,
        kind=Kind.GAUGE,
        by=By.MAIL,
        labels=("client",),
        merge=Merge.LIVE_SUM,
        help="Open connections to the listeners, by the class of the client.",
        alert="sum(mailseal_connections) > 0.8 * sum(mailseal_connections_limit)",
    ),
    MetricInfo(
        name=CONNECTIONS_LIMIT,
        kind=Kind.GAUGE,
        by=By.METRICS,
        help="The most that there can be: `limits.max_connections` of all mail workers.",
    ),
    MetricInfo(
        name=LAST_POLL,
        kind=Kind.GAUGE,
        by=By.MAIL,
        merge=Merge.LIVE_MIN,
        help="When the mail worker that is furthest behind last looked for changes in the database; 10 s later it "
        "answers 451.",
        alert="time() - mailseal_last_poll_timestamp_seconds > 15",
    ),
    MetricInfo(
        name=READY,
        kind=Kind.GAUGE,
        by=By.EVERY,
        labels=("role",),
        merge=Merge.LIVE_SUM,
        help="Processes that are ready; during a reload those of both generations.",
        alert="mailseal_processes_ready < mailseal_processes_expected",
    ),
    MetricInfo(
        name=EXPECTED,
        kind=Kind.GAUGE,
        by=By.METRICS,
        labels=("role",),
        help="Processes that the configuration asks for.",
    ),
    MetricInfo(
        name=JOBS,
        kind=Kind.COUNTER,
        by=By.WORKER,
        labels=("kind", "result"),
        help="Attempts at jobs, by result: done, again (after a pause), failed (given up).",
        alert='increase(mailseal_jobs_total{result="failed"}[1h]) > 0',
    ),
    MetricInfo(
        name=JOBS_WAITING,
        kind=Kind.GAUGE,
        by=By.WORKER,
        labels=("kind",),
        help="Jobs of this node or any that are due or will be; counted up to 10,000.",
    ),
    MetricInfo(
        name=JOB_LAG,
        kind=Kind.GAUGE,
        by=By.WORKER,
        labels=("kind",),
        help="For how long the oldest job that is due has been waiting; 0 when none is.",
        alert="mailseal_job_lag_seconds > 300",
    ),
    MetricInfo(
        name=ROWS_IMPORTED,
        kind=Kind.COUNTER,
        by=By.WORKER,
        help="Rows moved from journals to the message log.",
    ),
    MetricInfo(
        name=JOURNAL_IMPORTED,
        kind=Kind.GAUGE,
        by=By.WORKER,
        help="All that was journalled before this time is in the message log.",
        alert="time() - mailseal_journal_imported_timestamp_seconds > 60",
    ),
    MetricInfo(
        name=JOURNAL_BAD_LINES,
        kind=Kind.COUNTER,
        by=By.WORKER,
        help="Lines of journals that could not be read; they are kept in files *.broken.",
        alert="increase(mailseal_journal_bad_lines_total[1h]) > 0",
    ),
    MetricInfo(
        name=JOURNAL_BYTES,
        kind=Kind.GAUGE,
        by=By.WORKER,
        help="Size of the journals on disk; each is deleted when it is imported and its writer has begun another.",
        alert="mailseal_journal_bytes > 500e6",
    ),
    MetricInfo(
        name=CERTIFICATES_DUE,
        kind=Kind.GAUGE,
        by=By.WORKER,
        help="Certificates that wait to be judged.",
        alert="min_over_time(mailseal_certificates_due[1h]) > 0",
    ),
    MetricInfo(
        name=KEY_EXPIRY,
        kind=Kind.GAUGE,
        by=By.WORKER,
        help=(
            "When the first of the certificates of our keys, S/MIME or OpenPGP, expires that no later one replaces for "
            "each of its addresses; 0 without any."
        ),
        alert="0 < mailseal_key_expiry_timestamp_seconds < time() + 14 * 86400",
    ),
    MetricInfo(
        name=KEYS_EXPIRING,
        kind=Kind.GAUGE,
        by=By.WORKER,
        help="How many such certificates expire within 30 days.",
        alert="mailseal_keys_expiring > 0",
    ),
    MetricInfo(
        name=QUEUE_MAILS,
        kind=Kind.GAUGE,
        by=By.WORKER,
        labels=("queue",),
        help="Mails in Postfix's queue, by its folders; where `postfix.instance` is not off.",
        alert='mailseal_queue_mails{queue="deferred"} > 1000',
    ),
    MetricInfo(
        name=QUEUE_RECIPIENTS,
        kind=Kind.GAUGE,
        by=By.WORKER,
        labels=("reason",),
        help="Recipients who wait there, by the kind of reason that `mailseal queue list` shows.",
        alert='mailseal_queue_recipients_waiting{reason="mailseal-away"} > 0',
    ),
    MetricInfo(
        name=QUEUE_OLDEST,
        kind=Kind.GAUGE,
        by=By.WORKER,
        help="When the mail came that is deferred for longest; 0 without any.",
        alert="0 < mailseal_queue_oldest_timestamp_seconds < time() - 4 * 3600",
    ),
    MetricInfo(
        name=QUEUE_SEEN,
        kind=Kind.GAUGE,
        by=By.WORKER,
        help="When these numbers were taken; a large queue is looked at less often than each minute.",
        alert="time() - mailseal_queue_seen_timestamp_seconds > 3600",
    ),
    MetricInfo(
        name=MTA_STS_DOMAINS,
        kind=Kind.GAUGE,
        by=By.WORKER,
        labels=("mode",),
        help="Domains that mail goes to and that have an MTA-STS policy in force, by mode; `testing` changes nothing.",
    ),
    MetricInfo(
        name=HELD_MAILS,
        kind=Kind.GAUGE,
        by=By.WORKER,
        labels=("why",),
        help="Mails in the quarantine, one for each recipient, by what somebody has to look at them for.",
        alert="sum(mailseal_quarantine_mails) > 100",
    ),
    MetricInfo(
        name=HELD_OLDEST,
        kind=Kind.GAUGE,
        by=By.WORKER,
        help="When the mail came that has been in the quarantine for longest; 0 without any.",
        alert="0 < mailseal_quarantine_oldest_timestamp_seconds < time() - 7 * 86400",
    ),
    MetricInfo(
        name=HELD_NEXT_END,
        kind=Kind.GAUGE,
        by=By.WORKER,
        help="When the first of them expires, which deletes it; 0 without any.",
        alert="0 < mailseal_quarantine_next_expiry_timestamp_seconds < time() + 86400",
    ),
    MetricInfo(
        name=DOCUMENT_SECONDS,
        kind=Kind.HISTOGRAM,
        by=By.MAIL,
        buckets=_SECONDS,
        help="How long documents were read for DLP, without the time that they waited for their turn.",
        alert="histogram_quantile(0.99, sum by (le) (rate(mailseal_document_seconds_bucket[10m]))) > 10",
    ),
    MetricInfo(
        name=DOCUMENTS_UNREAD,
        kind=Kind.COUNTER,
        by=By.MAIL,
        labels=("reason",),
        help="Documents that were not read, or not all of it, by each reason that there was; `crashed` and `timeout`: "
        "the process that read it was lost with it.",
        alert='increase(mailseal_documents_unread_total{reason=~"crashed|timeout"}[1h]) > 5',
    ),
    MetricInfo(
        name=MAP_ANSWERS,
        kind=Kind.COUNTER,
        by=By.MAPS,
        labels=("table", "answer"),
        help="What Postfix was told, by table: ok, notfound, temp (its mail waits), perm (there is no such table).",
        alert='rate(mailseal_map_answers_total{answer="temp"}[5m]) > 0',
    ),
    MetricInfo(
        name=LOGINS,
        kind=Kind.COUNTER,
        by=By.MAPS,
        labels=("result",),
        help="Attempts to log in for submission, by result: accepted, wrong-password, unknown, disabled, locked (too "
        "many failures), busy (too many at once), unavailable (no database).",
        alert='increase(mailseal_logins_total{result="locked"}[10m]) > 0',
    ),
    MetricInfo(
        name=HEARTBEAT,
        kind=Kind.GAUGE,
        by=By.WORKER,
        help="When this node last told the others that it lives.",
        alert="time() - mailseal_heartbeat_timestamp_seconds > 30",
    ),
    MetricInfo(
        name=BUILD,
        kind=Kind.GAUGE,
        by=By.METRICS,
        labels=("version", "python"),
        help="Always 1; its labels say what runs.",
    ),
)
"""In the order of the page."""
