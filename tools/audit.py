"""Are any of the locked packages known to be vulnerable? Asks the advisories of osv.dev about each name and version.

    python tools/audit.py requirements-dev.lock ...

Exit 1 when there is an advisory, with its address for each. Without network nothing can be said: that is told, and is
no failure, unless RECAUDO_AUDIT_STRICT=1 asks for certainty. An advisory that does not concern us is named in
tools/audit-accepted.txt with its reason, one a line: `GHSA-... why`.

Sixty lines of the standard library and not pip-audit: that would bring some twenty packages into the lock, each with
this machine's trust, to send the same request.
"""

import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

URL = os.environ.get("RECAUDO_AUDIT_URL", "https://api.osv.dev/v1/querybatch")
ACCEPTED = Path(__file__).with_name("audit-accepted.txt")
TIMEOUT_S = 20
AT_ONCE = 500

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


class NotAuditedError(Exception):
    """Nothing was learned; the text says why."""


def pins(locks: Iterable[Path]) -> list[tuple[str, str]]:
    """Every package that the lock files name, with its version."""
    return sorted({pin for lock in locks for pin in _PIN.findall(lock.read_text(encoding="utf-8"))})


def advisories(packages: list[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
    """The advisories of each package that has any. Raises NotAuditedError."""
    found: dict[tuple[str, str], list[str]] = {}
    for start in range(0, len(packages), AT_ONCE):
        some = packages[start : start + AT_ONCE]
        for package, result in zip(some, _ask(some), strict=True):
            if ids := [one["id"] for one in result.get("vulns", ())]:
                found[package] = ids
    return found


def _ask(packages: list[tuple[str, str]]) -> list[Mapping[str, Any]]:
    queries = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in packages]
    request = urllib.request.Request(
        URL, data=json.dumps({"queries": queries}).encode(), headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            results: list[Mapping[str, Any]] = json.load(answer)["results"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotAuditedError(f"{URL} cannot be asked ({error})") from error
    if len(results) != len(packages):
        raise NotAuditedError(f"{URL} answered for {len(results)} of {len(packages)} packages")
    return results


def accepted() -> set[str]:
    """The advisories that somebody looked at and found not to concern us."""
    lines = ACCEPTED.read_text(encoding="utf-8").splitlines() if ACCEPTED.exists() else []
    return {line.split()[0] for line in lines if line.strip() and not line.startswith("#")}


def main(locks: list[str]) -> int:
    packages = pins(map(Path, locks))
    if not packages:
        print("no package is pinned in", *locks)
        return 1
    try:
        found = advisories(packages)
    except NotAuditedError as error:
        print(f"NOT AUDITED: {error}. Nothing is known about the {len(packages)} locked packages.")
        return 1 if os.environ.get("RECAUDO_AUDIT_STRICT") == "1" else 0
    known = accepted()
    left = {package: [id_ for id_ in ids if id_ not in known] for package, ids in found.items()}
    wrong = {package: ids for package, ids in left.items() if ids}
    for (name, version), ids in wrong.items():
        print(f"{name} {version}:", *(f"https://osv.dev/vulnerability/{id_}" for id_ in ids))
    print(f"{len(packages)} locked packages asked about, {len(wrong)} with advisories.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
