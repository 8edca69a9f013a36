"""The audit of locked packages: advisories fail it, no network does not, and it says which of the two it was."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOWHERE = "http://127.0.0.1:9/"
Answers = Callable[[Any], bytes]


@pytest.fixture
def advisories() -> Iterator[tuple[str, list[Answers]]]:
    """A service of advisories that answers as the test says; its address, and the answer."""
    answers: list[Answers] = []

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = answers[0](asked["queries"])
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", answers
    server.shutdown()
    server.server_close()


def audit(url: str, *, strict: bool = False) -> tuple[int, str]:
    environment = {**os.environ, "RECAUDO_AUDIT_URL": url, "RECAUDO_AUDIT_STRICT": "1" if strict else "0"}
    command = [sys.executable, "tools/audit.py", "requirements.lock", "requirements-dev.lock"]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout


def answer(queries: Any, *, bad: str = "") -> bytes:
    ids = [{"vulns": [{"id": "GHSA-x"}]} if query["package"]["name"] == bad else {} for query in queries]
    return json.dumps({"results": ids}).encode()


def test_an_advisory_fails_and_is_named(advisories: tuple[str, list[Answers]]) -> None:
    url, answers = advisories
    answers.append(lambda queries: answer(queries, bad="jinja2"))
    code, said = audit(url)
    assert code == 1
    assert "jinja2" in said
    assert "https://osv.dev/vulnerability/GHSA-x" in said


def test_none_passes_and_every_locked_package_was_asked_about(advisories: tuple[str, list[Answers]]) -> None:
    url, answers = advisories
    asked: list[str] = []

    def note(queries: Any) -> bytes:
        asked.extend(query["package"]["name"] for query in queries)
        return answer(queries)

    answers.append(note)
    assert audit(url)[0] == 0
    assert {"litestar", "granian", "asyncpg", "cryptography", "schemathesis"} <= set(asked)


@pytest.mark.parametrize("body", [b"no json", b"{}", b'{"results": []}', b"[]"])
def test_an_answer_that_is_none_is_not_taken_for_good_news(advisories: tuple[str, list[Answers]], body: bytes) -> None:
    url, answers = advisories
    answers.append(lambda _: body)
    code, said = audit(url)
    assert code == 0
    assert said.startswith("NOT AUDITED")
    assert audit(url, strict=True)[0] == 1


def test_without_network_it_says_that_nothing_is_known() -> None:
    code, said = audit(NOWHERE)
    assert code == 0
    assert said.startswith("NOT AUDITED")
    assert audit(NOWHERE, strict=True)[0] == 1
