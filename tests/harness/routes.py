"""Routes set by one process: the command line would start one for each."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence

from harness.gateway import Gateway, clean_environment
from harness.waiting import PATIENCE_SECONDS

_SCRIPT = """
import json, sys
from pathlib import Path
from mailseal import store
from mailseal.config import load
store.setup(load(Path(sys.argv[1]), {}))
from mailseal.store.routes import set_route
for domain, urls in json.loads(sys.argv[2]).items():
    set_route(domain, urls)
"""


def set_routes(gateway: Gateway, routes: Mapping[str, Sequence[str]]) -> None:
    words = [sys.executable, "-c", _SCRIPT, str(gateway.config), json.dumps(routes)]
    subprocess.run(words, check=True, timeout=PATIENCE_SECONDS, env=clean_environment())
