"""Django's settings for the store. `setup` puts the configured database in; the type checker reads the rest.

What answers browsers is `mailseal.web`.
"""

from pathlib import Path

OWN_APPS = ["mailseal.store", "mailseal.store.accounts"]
"""Of every process."""
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    *OWN_APPS,
]
"""Of those that have to do with accounts or make tables: `with_libraries`."""
MIGRATION_MODULES = {
    app: f"mailseal.store.libraries.{app}.migrations"
    for app in ("account", "auth", "contenttypes", "mfa", "sessions", "socialaccount", "usersessions")
}
AUTH_USER_MODEL = "accounts.Account"
PASSWORD_HASHERS = ["mailseal.store.accounts.hasher.Argon2idHasher"]
MIDDLEWARE = ["allauth.account.middleware.AccountMiddleware"]  # allauth looks for it when it is loaded
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DATABASE_ROUTERS: list[str] = []
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LOGGING_CONFIG = None  # the roles set up logging
SECRET_KEY = "unused: the store signs nothing"  # noqa: S105 -- Django refuses an empty one; no secret depends on it
MAILSEAL_NODE = "localhost"
MAILSEAL_IDLE_SECONDS = 3600  # of the web, which sets these
MAILSEAL_SECOND_FACTOR = False
MAILSEAL_OPENID_ROOTS: Path | None = None
