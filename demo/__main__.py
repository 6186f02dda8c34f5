"""`make demo`: two companies, a Mailseal each, and the internet between them, all on loopback; see README.

.venv/bin/python -m demo            stays until Ctrl-C
.venv/bin/python -m demo --once     ends after the samples; status 1 if one went wrong
.venv/bin/python -m demo --alone    without Postfix, as it is where nobody is root
"""

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CalledProcessError

from rich.console import Console, Group
from rich.panel import Panel
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from demo import by_content, by_postfix
from demo.company import LOGIN_PASSWORD, CommandError, Company
from demo.gnupg import Gnupg
from demo.name_server import NameServer
from demo.peer import Internet, Mail, Peer, server_context
from demo.pki import Authority
from demo.samples import ANNA, BEA, BERT, CAROL, DANA, DIRK, SAMPLES, Sample, Stage, form_of, openssl

console = Console(highlight=False)


def both(companies: tuple[Company, Company], act: Callable[[Company], None]) -> None:
    """Do it for both companies at once."""
    failed: list[Exception] = []

    def one(company: Company) -> None:
        try:
            act(company)
        except (CommandError, OSError) as error:
            failed.append(error)

    threads = [threading.Thread(target=one, args=(company,)) for company in companies]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:  # Ctrl-C: what runs comes to its end, nothing else is begun, then we clean up
        for company in companies:
            company.given_up = True
        for thread in threads:
            thread.join()
        raise
    if failed:
        raise failed[0]


@contextlib.contextmanager
def standing(folder: Path, arrived: Callable[[Peer, Mail, Path], None], *, with_postfix: bool) -> Iterator[Stage]:
    """Everything set up and running; ended in the end, whatever happens."""
    people = (("Anna", False), ("Bert", True))
    alpha = Company("Alpha", "alpha.example", folder / "alpha", people, with_postfix=with_postfix)
    people = (("Bea", False), ("Bob", True))
    beta = Company("Beta", "beta.example", folder / "beta", people, with_postfix=with_postfix)
    inboxes = {one.domain: Peer(f"mailboxes.{one.domain}", one.folder / "inbox", arrived) for one in (alpha, beta)}
    elsewhere = Peer("mailboxes.elsewhere.example", folder / "elsewhere", arrived)
    internet = Internet(folder / "wire", arrived, elsewhere)
    internet.gateways = {one.domain: one.port for one in (alpha, beta)}
    authority = Authority("The Internet")
    if with_postfix:  # without, a plain mail worker is who calls it
        internet.tls = server_context(folder / "internet.pem", authority.server(internet.name).for_server)
    names = NameServer()
    partner = {alpha: beta, beta: alpha}
    gnupg = Gnupg(folder / "delta")

    def make(company: Company) -> None:
        company.configure(inboxes[company.domain], internet, names, authority.root.pem)
        company.set_up(partner[company])
        company.sign_domain(names)
        if company is alpha:
            if with_postfix:
                company.let_in(BERT)
            company.add_openpgp(gnupg.export(), ANNA, DIRK)
        company.start()
        if company is alpha:  # while it comes up
            company.look_for(by_content.PATTERNS, BERT)
        company.wait_until_ready()

    try:
        gnupg.make_key("Dana", DANA)
        gnupg.make_key("Dirk", DIRK)
        both((alpha, beta), make)
        yield Stage(folder, alpha, beta, inboxes, internet, elsewhere, gnupg)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough: the rest is cleaning up
        for company in (alpha, beta):
            company.ask_to_stop()
        for company in (alpha, beta):
            company.stop()
        gnupg.close()
        for peer in (internet, elsewhere, *inboxes.values()):
            peer.close()
        names.close()


def show_set_up(stage: Stage) -> None:
    """What was typed, and who listens where."""
    typed = "\n".join(line.replace(f"{stage.folder}/", "") for line in stage.alpha.commands)
    console.print(
        Panel(
            Syntax(typed, "console", background_color="default", word_wrap=True),
            title="Set up, for Alpha",
            title_align="left",
        )
    )
    table = Table(title="On loopback now", title_justify="left", box=None, padding=(0, 2))
    for column in ("what", "listens on", "keeps"):
        table.add_column(column, overflow="fold")
    for company in (stage.alpha, stage.beta):
        inbox = stage.inboxes[company.domain]
        data = str(company.data.relative_to(stage.folder))
        if company.with_postfix:
            table.add_row(f"{company.name}'s Postfix", f"127.0.0.1:{company.port}", f"{company.folder.name}/postfix")
            table.add_row("  for users, with a login", f"127.0.0.1:{company.submission}", "")
            table.add_row(f"{company.name}'s Mailseal", "sockets for Postfix", data)
        else:
            table.add_row(f"{company.name}'s Mailseal", f"127.0.0.1:{company.port}", data)
        table.add_row("  its console", f"https://localhost:{company.console}/", "")
        table.add_row(
            f"{company.name}'s mailboxes", f"127.0.0.1:{inbox.port}", f"{company.domain.partition('.')[0]}/inbox/*.eml"
        )
    table.add_row("Delta, who have gpg alone", "", "delta/, gpg's home folder")
    table.add_row("the internet", f"127.0.0.1:{stage.internet.port}", "wire/*.eml")
    table.add_row("all other mailboxes", f"127.0.0.1:{stage.elsewhere.port}", "elsewhere/*.eml")
    console.print(table)


def show_sample(number: int, sample: Sample, stage: Stage) -> bool:
    """Act it, show what became of it; whether all is as it should be."""
    told = sample.act(stage)
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="cyan", no_wrap=True)
    rows.add_column(overflow="fold")
    for name, value in told.rows:
        rows.add_row(name, Text(value))
    checks = Text()
    for what, good in told.checks:
        checks.append("✔ " if good else "✘ ", style="bold green" if good else "bold red").append(f"{what}   ")
    console.print(
        Panel(
            Group(Text(sample.about, style="italic"), Text(), rows, Text(), checks),
            title=f"{number}  {sample.title}",
            title_align="left",
        )
    )
    return all(good for _, good in told.checks)


def show_referee(stage: Stage) -> bool:
    """Open the first mail on the wire with openssl, which knows nothing of Mailseal."""
    bea = stage.beta.people[BEA]
    (stage.folder / "bea.key").write_bytes(bea.key_pem)
    (stage.folder / "bea.pem").write_bytes(bea.pem)
    (stage.folder / "alpha-root.pem").write_bytes(stage.alpha.ca.root.pem)
    wire = stage.internet.folder / "001.eml"
    decrypt = (
        "cms",
        "-decrypt",
        "-in",
        str(wire),
        "-recip",
        str(stage.folder / "bea.pem"),
        "-inkey",
        str(stage.folder / "bea.key"),
    )
    verify = ("cms", "-verify", "-CAfile", str(stage.folder / "alpha-root.pem"))
    console.print(Rule("openssl opens what was captured on the wire", align="left"))
    console.print(
        Text(f"$ openssl {shlex.join(decrypt)} \\\n    | openssl {shlex.join(verify)}", style="bold"), soft_wrap=True
    )
    try:
        text = openssl(*verify, given=openssl(*decrypt))
    except CalledProcessError as error:
        console.print(f"[bold red]✘[/] {error.stderr.decode(errors='replace')}")
        return False
    console.print(Text(text.decode().replace("\r\n", "\n").strip()))
    console.print("[bold green]✔[/] decrypted with Bea's key, and the signature leads to Alpha's root\n")
    return True


def show_gpg(stage: Stage) -> bool:
    """Open what went to Dana with gpg, which finds the message in a mail by itself."""
    number = next(at for at, mail in enumerate(stage.internet.mails, 1) if DANA in mail.recipients)
    wire = stage.internet.folder / f"{number:03}.eml"
    console.print(Rule("gpg opens what was captured on the wire", align="left"))
    console.print(Text(f"$ {shlex.join((*stage.gnupg.command, '--decrypt', str(wire)))}", style="bold"), soft_wrap=True)
    text, good = stage.gnupg.read(wire.read_bytes())
    console.print(Text(text.decode().replace("\r\n", "\n").strip()))
    said = "decrypted with Dana's key, and the signature is Anna's" if good else "the signature is not good"
    console.print(f"[bold green]✔[/] {said}\n" if good else f"[bold red]✘[/] {said}\n")
    return good


def show_logs(stage: Stage) -> None:
    """`mailseal log` of both, once the workers have moved the rows there."""
    time.sleep(1.5)
    for company in (stage.alpha, stage.beta):
        console.print(Rule(f"mailseal log, at {company.name}", align="left"))
        sys.stdout.flush()
        company.show("log")
        console.print()


def show_your_turn(stage: Stage) -> None:
    """Exact commands to go on with."""
    server = f"127.0.0.1:{stage.alpha.port}"
    config = shlex.quote(str(stage.alpha.config))
    mailseal = shlex.join([sys.executable, "-m", "mailseal"])
    lines = [
        "# as Anna, to someone at Beta: signed and encrypted on the way",
        f"swaks --server {server} --from {ANNA} --to {BEA} --h-Subject 'Lunch?' --body 'At noon?'",
        "# to someone who has OpenPGP only: signed and encrypted just so",
        f"swaks --server {server} --from {ANNA} --to {DANA} --h-Subject 'Lunch?' --body 'At noon?'",
        "# to someone without a certificate: signed",
        f"swaks --server {server} --from {ANNA} --to {CAROL} --h-Subject 'Hello' --body 'Hello Carol'",
        f"# … unless it must be encrypted: refused{', as Postfix reports to Anna' if stage.alpha.with_postfix else ''}",
        f"swaks --server {server} --from {ANNA} --to {CAROL} --h-Subject '[encrypt] Hello' --body 'Hello Carol'",
        "# a zip that nobody can read: held; and what is held",
        f"swaks --server {server} --from {ANNA} --to {CAROL} --attach @{stage.folder / by_content.ZIP}",
        f"{mailseal} --config {config} quarantine list",
        "# what Mailseal would do, and why; and what it did",
        f"{mailseal} --config {config} message explain {stage.elsewhere.folder}/001.eml --from {ANNA} --to {BEA}",
        f"{mailseal} --config {config} log --follow",
    ]
    if stage.alpha.with_postfix:
        login = f"--server 127.0.0.1:{stage.alpha.submission} --tls --auth-user {BERT}"
        lines += [
            "# as Bert, by a login; as somebody else he is refused",
            f"swaks {login} --auth-password {shlex.quote(LOGIN_PASSWORD)} --from {BERT} --to {CAROL}",
            "# what waits in Alpha's Postfix, and why",
            f"{mailseal} --config {config} queue list",
        ]
    console.print(Rule("Your turn, in a browser", align="left"))
    link = stage.alpha.add_administrator(ANNA)
    console.print("Anna administers Alpha. By this link, once, she sets her password; the certificate is self-signed.")
    console.print(Text(f"{link}\n", style="bold"), soft_wrap=True)
    console.print(Rule("Your turn, in another terminal", align="left"))
    for line in lines:
        console.print(Text(line, style="dim" if line.startswith("#") else ""), soft_wrap=True)
    if shutil.which("swaks") is None:
        console.print(Text("(swaks: apt-get install swaks)", style="dim"))


def announce(peer: Peer, mail: Mail, path: Path) -> None:
    """A line for a mail that arrives while the demo stands."""
    if isinstance(peer, Internet):
        console.print(
            Text(
                f"  on the wire   {mail.sender or '<>'} → {', '.join(mail.recipients)}: {form_of(mail)}   {path}",
                style="dim",
            )
        )
        return
    marks = ", ".join(f"{name.removeprefix('X-Mailseal-')}: {value}" for name, value in mail.result_headers()[:2])
    console.print(
        Text("▸ ", style="bold green")
        + Text(
            f"{peer.name} got “{mail.header('Subject')}” from {mail.sender or '<>'} for {', '.join(mail.recipients)}"
        )
        + Text(f"   {marks}   {path}", style="dim")
    )


def _wait_for_the_end() -> None:
    try:
        signal.pause()
    finally:
        console.print("\nEnding …")


def play(stage: Stage) -> bool:
    """All samples, the referee, the logs."""
    show_set_up(stage)
    samples = (*SAMPLES, *by_content.SAMPLES, *(by_postfix.SAMPLES if stage.alpha.with_postfix else ()))
    good = [show_sample(number, sample, stage) for number, sample in enumerate(samples, 1)]
    good += [show_referee(stage), show_gpg(stage)]
    show_logs(stage)
    return all(good)


def why_alone() -> str | None:
    """Why there can be no Postfix here; None if there can."""
    if shutil.which("postfix", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        return "Postfix is not installed (tools/debian.sh postfix)"
    if os.geteuid() != 0 and not _may_sudo():
        return "Postfix has to be started by root"
    return None


def _may_sudo() -> bool:
    command = ("sudo", "-n", "true")
    return shutil.which("sudo") is not None and not subprocess.run(command, capture_output=True, check=False).returncode


def go_on_as_root() -> None:
    """The same anew, by sudo, which does not ask here; it leaves no file of root's beside the sources."""
    command = ("sudo", "-n", "env", "PYTHONDONTWRITEBYTECODE=1", sys.executable, "-m", "demo", *sys.argv[1:])
    os.execvp(command[0], command)


def main() -> int:
    """Set up, show, wait, clean up."""
    parser = argparse.ArgumentParser(description="Two companies with a Mailseal each, on loopback.")
    parser.add_argument("--once", action="store_true", help="end after the samples")
    parser.add_argument("--keep", action="store_true", help="leave the folder")
    parser.add_argument("--alone", action="store_true", help="without Postfix")
    arguments = parser.parse_args()
    alone = "as was asked for" if arguments.alone else why_alone()
    if alone is None and os.geteuid() != 0:
        go_on_as_root()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="mailseal-demo-"))
    live = threading.Event()
    good = False

    def arrived(peer: Peer, mail: Mail, path: Path) -> None:
        if live.is_set():
            announce(peer, mail, path)

    console.print(Rule("[bold]Mailseal demo[/]"))
    console.print(f"Everything is in [bold]{folder}[/], on loopback only. Making keys, setting up two gateways …")
    if alone:
        console.print(f"Without Postfix: {alone}. The gateways speak SMTP themselves; queue and logins are not shown.")
    else:
        folder.chmod(0o711)  # Postfix's own user passes through
    try:
        with standing(folder, arrived, with_postfix=alone is None) as stage:
            good = play(stage)
            if not arguments.once:
                show_your_turn(stage)
                live.set()
                console.print("\nWhat arrives is shown here. [bold]Ctrl-C[/] ends the demo and removes its folder.\n")
                _wait_for_the_end()
    except KeyboardInterrupt:
        return 0 if good else 130
    except (CommandError, TimeoutError, OSError) as error:
        console.print(f"[bold red]The demo cannot go on:[/] {error}")
        good = False
    finally:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
