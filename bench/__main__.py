"""`make bench`: the engines beside bare primitives, DLP patterns and documents, the store's look-ups, the gateway
beside a null relay, with DLP, and between two hops of Postfix, what Postfix asks of it, what grows, and the console.

MAILSEAL_BENCH=short takes a few thousand addresses and some hundred thousand log rows for the last instead of 100,000
and 10 million, whose making takes a quarter of an hour the first time.
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SCRIPTS = (
    "engine.py",
    "openpgp.py",
    "dlp_patterns.py",
    "dlp_documents.py",
    "store.py",
    "gateway.py",
    "dlp_gateway.py",
    "postfix.py",
    "maps.py",
    "scale.py",
    "console.py",
)

for script in SCRIPTS:
    print(f"\n== {script}", flush=True)
    status = subprocess.run([sys.executable, str(FOLDER / script)], check=False).returncode
    if status:
        sys.exit(status)
