"""What every fuzz target does: start from real structures, run for a while, say how many inputs there were."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import atheris


def fuzz(name: str, about: str | None, one_input: Callable[[bytes], None], seeds: Mapping[str, bytes]) -> None:
    """Ends the process: with status 0, or with the input that raised kept in a file of the temporary folder."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--seconds", type=int, default=600)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as corpus:
        for seed, octets in seeds.items():
            one_input(octets)
            (Path(corpus) / seed).write_bytes(octets)
        child = os.fork()
        if child == 0:
            _run(name, one_input, corpus, seconds)
        _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


def _run(name: str, one_input: Callable[[bytes], None], corpus: str, seconds: int) -> None:
    """libFuzzer ends its process itself, so that the count is printed from within, before its time is up."""
    end = time.monotonic() + seconds
    count = 0

    def counted(octets: bytes) -> None:
        nonlocal count
        count += 1
        one_input(octets)
        if time.monotonic() >= end:
            print(f"{name}: {count} inputs in {seconds} s, no failure", flush=True)
            os._exit(0)

    arguments = [sys.argv[0], corpus, f"-artifact_prefix={tempfile.gettempdir()}/{name}-", "-max_len=8192"]
    atheris.Setup([*arguments, "-verbosity=0", "-timeout=10", "-rss_limit_mb=1024"], counted)
    atheris.Fuzz()
