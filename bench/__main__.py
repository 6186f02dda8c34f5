"""`make bench`: the engine beside the bare primitives, the store's look-ups, the gateway beside a null relay."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SCRIPTS = ("engine.py", "store.py", "gateway.py")

for script in SCRIPTS:
    print(f"\n== {script}", flush=True)
    status = subprocess.run([sys.executable, str(FOLDER / script)], check=False).returncode
    if status:
        sys.exit(status)
