"""What the console needs of the other keys, and what does not go together with it."""

from urllib.parse import urlsplit

from mailseal.config.model import Config
from mailseal.config.problem import Problem


def problems(config: Config) -> tuple[Problem, ...]:
    """What each key alone cannot show."""
    web = config.web
    found = []
    if web.tls_key is not None and web.tls_certificate is None:
        what = "is missing; web.tls_key needs it"
        found.append(Problem("web.tls_certificate", what, 'tls_certificate = "/etc/mailseal/tls/console.pem"'))
    if web.database_url is not None and _without_user(web.database_url) != _without_user(config.database.url):
        what = "names another database than database.url; only the user may be another"
        found.append(Problem("web.database_url", what, 'database_url = "mysql://mailseal_web@127.0.0.1:3306/mailseal"'))
    return tuple(found)


def _without_user(url: str) -> tuple[str | None, int | None, str, str]:
    parts = urlsplit(url)
    return parts.hostname, parts.port, parts.path, parts.query
