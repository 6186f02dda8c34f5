"""`serve`, `mail`, `worker`, `maps`, `web`, `metrics`, `sandbox`, `queue-role`: the processes of a running gateway."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.session import Session, become_owner, pass_session
from mailseal.config import METRICS, SANDBOX, WEB, Config, Instance
from mailseal.config.load import variable
from mailseal.roles.confinement import confine
from mailseal.roles.node_roles import node_roles
from mailseal.roles.users import become, user_of


@contextmanager
def loaded_for_good() -> Iterator[None]:
    """Around the imports of a role: they stay, so that the garbage collector need not look at them, now or ever."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@click.command()
@click.option("--postfix", "instance", type=click.Choice([*map(str, Instance)]), help="Instead of postfix.instance.")
@pass_session
def serve(session: Session, *, instance: str | None) -> None:
    """Run the gateway: mail workers, the job worker and what else is on; each is started again when it ends.

    SIGTERM ends it when the mails at hand are done; SIGHUP reads the configuration again.
    """
    if instance is not None:
        os.environ[variable("postfix", "instance")] = instance  # the roles read it too
    _require_folder(session.config)
    path = session.config_path
    arguments = ["--config", str(path.absolute())] if path else []
    sys.stdout.flush()
    # The supervisor is a new program, so that it holds nothing that was loaded here; -P: root may be anywhere, and runs
    # nothing that lies in the current folder.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "mailseal.roles.supervisor", *arguments])  # noqa: S606 - no shell


@click.command()
@click.option("--worker", "number", type=click.IntRange(1, 10_000), default=1, show_default=True, help="Its number.")
@pass_session
def mail(session: Session, number: int) -> None:
    """Run one mail worker: on the listeners that `serve` or systemd hands down, else on its own."""
    become_owner(session.config.data_dir)
    confine()
    with loaded_for_good():
        from mailseal.roles.mail import run  # noqa: PLC0415 - only this process needs the mail path

    run(session.config, number)


@click.command()
@pass_session
def worker(session: Session) -> None:
    """Run the job worker."""
    if session.config_path is not None:
        os.environ["MAILSEAL_CONFIG"] = str(session.config_path.absolute())  # of `check`, which it runs
    become_owner(session.config.data_dir)
    confine()
    with loaded_for_good():
        from mailseal.roles.worker import run  # noqa: PLC0415 - only this process needs the job handlers

    run(session.config)


@click.command()
@pass_session
def metrics(session: Session) -> None:
    """Answer Prometheus and health checks, if `metrics.listen` says where."""
    config = session.config_without_secrets
    if os.geteuid() == 0:
        _become_user_of(config, METRICS)
    confine()
    with loaded_for_good():
        from mailseal.roles.metrics_role import run  # noqa: PLC0415 - only this process needs the page

    run(config)


@click.command()
@pass_session
def maps(session: Session) -> None:
    """Answer what Postfix asks: domains, next hops, TLS, senders and logins."""
    become_owner(session.config.data_dir)
    confine()
    with loaded_for_good():
        from mailseal.roles.maps_role import run  # noqa: PLC0415 - only this process needs the answers

    run(session.config)


@click.command()
@pass_session
def web(session: Session) -> None:
    """Answer browsers and programs over HTTPS, if `web.listen` says where: the console and the API."""
    if os.geteuid() == 0:
        _become_user_of(session.config_without_secrets, WEB)
    confine()
    with loaded_for_good():
        from mailseal.roles.web_role import run  # noqa: PLC0415 - only this process needs the pages

    run(session.config_of_web)


@click.command("queue-role")
@pass_session
def queue_role(session: Session) -> None:
    """Look after Postfix's queue for the owner of the data folder; needs root."""
    path = session.config_path
    arguments = ["--config", str(path.absolute())] if path else []
    # A new program: what root runs on holds nothing but the standard library.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "mailseal.roles.queue_role", *arguments])  # noqa: S606 - no shell


@click.command()
@pass_session
def sandbox(session: Session) -> None:
    """Have documents read for DLP, by processes that can do nothing else."""
    if os.geteuid() == 0:
        _become_user_of(session.config_without_secrets, SANDBOX)
    path = session.config_path
    arguments = ["--config", str(path.absolute())] if path else []
    # A new program, which holds nothing that was loaded here.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "mailseal.roles.sandbox_role", *arguments])  # noqa: S606 - no shell


def _become_user_of(config: Config, listener: str) -> None:
    """Be the user of the role that listens there."""
    _require_folder(config)
    for role in node_roles(None)(config):
        if listener in role.listens and (user := user_of(role, config.data_dir)) is not None:
            become(user)


def _require_folder(config: Config) -> None:
    if not config.data_dir.is_dir():
        raise CommandError(f"the data folder {config.data_dir} does not exist", "`mailseal init` makes it")
