"""Django's settings for the store. `setup` puts the configured database in; the type checker reads the rest."""

INSTALLED_APPS = ["mailseal.store"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DATABASE_ROUTERS: list[str] = []
USE_TZ = True
TIME_ZONE = "UTC"
LOGGING_CONFIG = None  # the roles set up logging
SECRET_KEY = "unused: the store signs nothing"  # noqa: S105 -- Django refuses an empty one; no secret depends on it
MAILSEAL_NODE = "localhost"
