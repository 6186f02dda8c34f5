"""The store: the Django app that holds every durable fact, and the only SQL. Single node SQLite, cluster MariaDB.

`setup(config)` names the database; `migrate()` makes or upgrades its tables. Functions take and give frozen values,
never models. Importing the package registers its models with Django (so that modules may be imported in any order)
and opens nothing.
"""

from mailseal.store.configure import migrate, pending_migrations, register, setup

__all__ = ["migrate", "pending_migrations", "setup"]

register()
