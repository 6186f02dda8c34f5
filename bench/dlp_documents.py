"""What reading typical mails for DLP costs: `python bench/dlp_documents.py [--json] [--turns 3]`.

Each mail is read with its documents in this process, and in turn with them in a sandbox as the gateway has it: a
socket, a role that hands on, one confined process. The best of each counts, and the ratio is made of these. CPU is that
of all processes. Memory is what the processes that read documents grew by at most, the first time. "Patterns": looking
through what was read with the whole starter library.

MAILSEAL_BENCH=short makes the documents a tenth as large.
"""

import argparse
import base64
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cpu import cpu_seconds, tree
from instance import Instance, start, stop

from dlp_patterns import CHOICE, WORDS  # before tests/ is looked in, which has a module of that name too

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from documents.mail_reading import Here, entity, mail, multipart
from documents.pdf_writer import line, page_objects, pdf
from documents.workbook_writer import package, xlsx
from mailseal.config import load
from mailseal.extract.mail import Documents, inspect
from mailseal.mail.mime import parse
from mailseal.policy.dlp.library import starters
from mailseal.policy.dlp.scanner import Scanner
from mailseal.policy.inspection import Inspection
from mailseal.transport.sandbox import SandboxAwayError, SandboxDocuments
from mailseal.wiring.gateway import sandbox_documents

SHORT = 10 if os.environ.get("MAILSEAL_BENCH") == "short" else 1
MB = 1_000_000
START_SECONDS = 60
DEADLINE_SECONDS = 240.0
LINES_OF_A_PAGE = 45
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def prose(length: int) -> str:
    """Lines of words, with a date and an amount in some: nothing that the library looks for."""
    pieces, size = [], 0
    while size < length:
        words = " ".join(CHOICE.choices(WORDS, k=40))
        more = f", {CHOICE.randint(1, 28)} May 2026: EUR {CHOICE.randint(10, 999)}.50" if CHOICE.random() < 0.3 else ""
        pieces.append(f"{words}{more}.\n")
        size += len(pieces[-1])
    return "".join(pieces)[:length]


def docx(characters: int) -> bytes:
    """Paragraphs in two runs each, as Word writes them."""
    run = '<w:r><w:rPr><w:lang w:val="en-GB"/></w:rPr><w:t xml:space="preserve">'
    body = "".join(
        f'<w:p w:rsidR="00A77B3E">{run}{text[:99]}</w:t></w:r>{run}{text[99:]}</w:t></w:r></w:p>'
        for text in prose(characters).splitlines()
    )
    types = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
    document = f'<?xml version="1.0"?><w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>'
    return package({"[Content_Types].xml": types, "word/document.xml": document})


def workbook(rows: int) -> bytes:
    """Six columns: two shared strings, a date, two numbers, a formula's result."""
    words = prose(60_000).split()[:5000]
    strings = "".join(f"<si><t>{word}</t></si>" for word in words)
    made = "".join(
        f'<row r="{row}"><c r="A{row}" t="s"><v>{row % 5000}</v></c><c r="B{row}" t="s"><v>{row * 7 % 5000}</v></c>'
        f'<c r="C{row}" s="1"><v>{45000 + row % 900}</v></c><c r="D{row}"><v>{row}</v></c>'
        f'<c r="E{row}"><v>{row * 1.25}</v></c><c r="F{row}"><f>D{row}*E{row}</f><v>{row * row * 1.25}</v></c></row>'
        for row in range(1, rows + 1)
    )
    styles = '<cellXfs><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs>'
    return xlsx(made, strings=strings, styles=styles)


def pages(count: int) -> bytes:
    """Pages of lines of ninety letters."""
    text = " ".join(prose(count * LINES_OF_A_PAGE * 90).split())
    rows = (text[at : at + 90] for at in range(0, len(text), 90))
    contents = [
        b"".join(line(next(rows, ""), y=750 - 15 * number) for number in range(LINES_OF_A_PAGE)) for _ in range(count)
    ]
    return pdf(page_objects(contents))


def newsletter(size: int) -> bytes:
    """Nested tables, styles, links and little text, with its alternative in plain text."""
    rows = "".join(
        f'<table width="600" cellpadding="0"><tr><td style="font-family:Arial,sans-serif;color:#333333;padding:8px">'
        f'<a href="https://news.example/{number}?u=1234&amp;c=spring"><img src="https://news.example/{number}.png" '
        f'alt="item {number}" width="120"></a></td><td><h2>Offer {number}</h2><p>{text}</p></td></tr></table>\n'
        for number, text in enumerate(prose(size // 2).splitlines())
    )
    html = f"<html><head><style>td {{ margin: 0 }}</style></head><body>{rows}"[:size] + "</body></html>"
    plain = prose(size // 10)
    return multipart(
        entity(plain.encode(), "text/plain; charset=utf-8"),
        entity(html.encode(), "text/html; charset=utf-8"),
        kind="alternative",
    )


def ten_files() -> bytes:
    kinds: dict[str, str | bytes] = {f"report{number}.txt": prose(200_000 // SHORT) for number in range(4)}
    kinds |= {f"table{number}.csv": prose(100_000 // SHORT).replace(" ", ";") for number in range(2)}
    kinds |= {
        "page.html": f"<html><body>{prose(100_000 // SHORT)}</body></html>",
        "letter.docx": docx(200_000 // SHORT),
    }
    return package({**kinds, "sums.xlsx": workbook(2000 // SHORT), "paper.pdf": pages(20 // SHORT)})


def attached(octets: bytes, name: str, media_type: str) -> bytes:
    fields = ("Content-Transfer-Encoding: base64", f'Content-Disposition: attachment; filename="{name}"')
    return multipart(
        entity(prose(2000).replace("\n", "\r\n").encode(), "text/plain; charset=utf-8"),
        entity(base64.encodebytes(octets).replace(b"\n", b"\r\n"), media_type, *fields),
    )


def mails() -> dict[str, bytes]:
    office = "application/vnd.openxmlformats-officedocument"
    made = {
        "plain, 10 KB": entity(prose(10_000).replace("\n", "\r\n").encode(), "text/plain; charset=utf-8"),
        "newsletter, 100 KB of HTML": newsletter(100_000),
        "docx, 3 MB of text": attached(docx(3 * MB // SHORT), "a.docx", f"{office}.wordprocessingml.document"),
        "xlsx, 60,000 rows": attached(workbook(60_000 // SHORT), "a.xlsx", f"{office}.spreadsheetml.sheet"),
        "pdf, 300 pages": attached(pages(300 // SHORT), "a.pdf", "application/pdf"),
        "zip, ten files": attached(ten_files(), "a.zip", "application/zip"),
    }
    fields = ("To: b@example.com", "Subject: some words", "Date: Thu, 01 Jan 2026 00:00:00 +0000", "Message-ID: <1@a>")
    return {name: mail(content, *fields) for name, content in made.items()}


@contextmanager
def sandbox() -> Iterator[tuple[SandboxDocuments, int]]:
    """The port as the gateway has it, and the process of the role."""
    own = Instance("dlp-documents", 21850, 21860, extra="[dlp]\nextractors = 1\n")
    (own.folder / "data" / "run").mkdir(parents=True, exist_ok=True)
    config = load(own.config, os.environ, with_secrets=False)
    command = (sys.executable, "-P", "-m", "mailseal.roles.sandbox_role", "--config", str(own.config))
    role = start(*command, log=own.folder / "sandbox.log")
    try:
        documents = sandbox_documents(config)
        until = time.monotonic() + START_SECONDS
        while not answers(documents):
            if role.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"the sandbox did not become ready: see {own.folder / 'sandbox.log'}")
            time.sleep(0.05)
        yield documents, role.pid
    finally:
        stop(role)


def answers(documents: SandboxDocuments) -> bool:
    try:
        documents.status()
    except SandboxAwayError:
        return False
    return True


@dataclass
class Side:
    """One way to read: the best seconds and CPU seconds so far, and what the reading process grew by the first time."""

    documents: Callable[[], Documents]
    pid: int
    """Of the tree of processes that read documents."""
    seconds: float = float("inf")
    cpu: float = float("inf")
    grown: int = -1

    def read(self, octets: bytes) -> Inspection:
        pids = {self.pid} if self.pid == os.getpid() else tree(self.pid)
        for pid in pids if self.grown < 0 else ():
            with suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
        before, cpu, began = memory(pids, "VmRSS"), self._cpu(), time.perf_counter()
        found = inspect(parse(octets), self.documents(), time.monotonic() + DEADLINE_SECONDS)
        self.seconds = min(self.seconds, time.perf_counter() - began)
        self.cpu = min(self.cpu, self._cpu() - cpu)
        if self.grown < 0:
            self.grown = max(0, memory(pids, "VmHWM") - before)
        return found

    def _cpu(self) -> float:
        """Of this process to the microsecond, of others to the hundredth."""
        return time.process_time() + (0 if self.pid == os.getpid() else cpu_seconds(self.pid))


def memory(pids: set[int], field: str) -> int:
    """Resident now (VmRSS) or at its highest (VmHWM), in bytes."""
    found = 0
    for pid in pids:
        with suppress(OSError):  # one that has ended has none
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
            found += sum(int(row.split()[1]) for row in status.splitlines() if row.startswith(field)) * 1024
    return found


def measure(octets: bytes, documents: SandboxDocuments, role: int, turns: int, library: Scanner) -> dict[str, float]:
    here, there = Side(Here, os.getpid()), Side(lambda: documents, role)
    for _ in range(turns):
        found = here.read(octets)
        if there.read(octets) != found:
            raise SystemExit("the sandbox has read something else")
    if found.gaps:
        raise SystemExit(f"not all was read: {found.gaps}")
    looking = float("inf")
    for _ in range(turns):
        began = time.perf_counter()
        library.findings(found)
        looking = min(looking, time.perf_counter() - began)
    return {
        "octets": len(octets),
        "characters": sum(len(one.text) for one in found.passages),
        "here_seconds": here.seconds,
        "here_cpu_seconds": here.cpu,
        "here_bytes": here.grown,
        "sandbox_seconds": there.seconds,
        "sandbox_cpu_seconds": there.cpu,
        "sandbox_bytes": there.grown,
        "ratio": there.seconds / here.seconds,
        "patterns_seconds": looking,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    library = Scanner([one.pattern for one in starters()])
    with sandbox() as (documents, role):
        rows = {name: measure(octets, documents, role, arguments.turns, library) for name, octets in mails().items()}
    if arguments.json:
        print(json.dumps({"load_average": os.getloadavg(), "mails": rows}))
        return
    print(f"load average {os.getloadavg()[0]:.1f}; seconds, CPU seconds and MB in this process, in the sandbox")
    print(f"{'':28} {'mail':>8} {'text':>8} {'here':>8} {'CPU':>7} {'MB':>5} {'sandbox':>8} {'CPU':>7} {'MB':>5} "
          f"{'ratio':>6} {'patterns':>8}")  # fmt: skip
    for name, row in rows.items():
        print(f"{name:28} {row['octets'] / 1000:5.0f} kB {row['characters'] / 1000:5.0f} kB "
              f"{row['here_seconds']:8.4f} {row['here_cpu_seconds']:7.4f} {row['here_bytes'] / MB:5.0f} "
              f"{row['sandbox_seconds']:8.4f} {row['sandbox_cpu_seconds']:7.3f} {row['sandbox_bytes'] / MB:5.0f} "
              f"{row['ratio']:6.2f} {row['patterns_seconds']:8.4f}")  # fmt: skip


if __name__ == "__main__":
    main()
