"""Mutation test of the code that decides: change it in small ways and see whether a test notices (mutmut).

    tools/mutate.py                 policy and pipeline, as `make mutate` does
    tools/mutate.py policy          one package
    tools/mutate.py policy.plan     one module
    tools/mutate.py --survivors     also print the change of every mutant that no test noticed

Only tests/unit/policy and tests/unit/pipeline run (pyproject.toml, [tool.mutmut]). Exit code 1 under 95 % killed.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("policy", "pipeline")
MINIMUM_PERCENT = 95.0
KILLED = frozenset({"killed", "timeout", "segfault", "caught by type check"})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", default=PACKAGES, help="packages or modules under mailseal")
    parser.add_argument("--children", type=int, default=os.cpu_count() or 1, help="mutants tested side by side")
    parser.add_argument("--keep", action="store_true", help="keep verdicts of an earlier run that still hold")
    parser.add_argument("--survivors", action="store_true", help="print what the surviving mutants change")
    given = parser.parse_args()
    # mutmut's name patterns; "*" also matches dots, so a package takes its modules along
    patterns = [f"mailseal.{part}.*" for part in given.parts]
    if not given.keep:
        shutil.rmtree(ROOT / "mutants", ignore_errors=True)
    os.environ.setdefault("MAILSEAL_EXAMPLES", "5")  # tables kill mutants; properties need not search long here
    code = _mutmut("run", "--max-children", str(given.children), *patterns).returncode
    verdicts = _verdicts(tuple(f"mailseal.{part}." for part in given.parts))
    return _report(verdicts, code, survivors=given.survivors)


def _mutmut(*arguments: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False, text=True, stdout=subprocess.PIPE if capture else None)


def _verdicts(prefixes: tuple[str, ...]) -> dict[str, str]:
    lines = _mutmut("results", "--all", "true", capture=True).stdout.splitlines()
    found = (line.strip().rpartition(": ") for line in lines)
    return {name: verdict for name, colon, verdict in found if colon and name.startswith(prefixes)}


def _report(verdicts: dict[str, str], code: int, *, survivors: bool) -> int:
    counts = Counter(verdicts.values())
    total = counts.total()
    killed = sum(counts[verdict] for verdict in KILLED)
    for name, verdict in sorted(verdicts.items()):
        if verdict not in KILLED:
            print(f"{verdict}: {name}")
            if survivors:
                print(_mutmut("show", name, capture=True).stdout)
    if not total or counts["not checked"]:
        print(f"mutation test did not finish: {counts['not checked']} of {total} not checked (mutmut exit code {code})")
        return 1
    percent = 100 * killed / total
    print(f"{killed} of {total} mutants killed: {percent:.1f} % (at least {MINIMUM_PERCENT:.0f} %)")
    return 0 if percent >= MINIMUM_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main())
