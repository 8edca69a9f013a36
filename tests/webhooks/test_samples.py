"""The receivers that the documentation shows work: they take the published vectors and refuse everything else."""

import base64
import contextlib
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from recaudo.dialects.onepay.webhooks import standard_signature
from tests.commands import environment, recaudo
from tests.world import free_port

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "receive-webhooks.md"
TRELI = ROOT / "tests" / "fixtures" / "treli"
VECTORS = sorted((ROOT / "tests" / "fixtures" / "onepay").glob("webhook-*.vector.json"))

SAMPLE = re.compile(r"^```(?:js|php|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"^(?:#|//) (\w+\.(?:mjs|php|py))$", re.MULTILINE)

# Each reads {body, headers, secrets, now} from standard input and prints true or false.
NODE = """
import { isGenuine } from "./verify.mjs";
let text = "";
for await (const chunk of process.stdin) text += chunk;
const cases = JSON.parse(text);
const verdicts = cases.map((c) => isGenuine(Buffer.from(c.body, "base64"), c.headers, c.secrets, c.now));
console.log(JSON.stringify(verdicts));
"""
PHP = """<?php
require __DIR__ . '/verify.php';
$cases = json_decode(stream_get_contents(STDIN), true);
echo json_encode(array_map(
    fn ($c) => is_genuine(base64_decode($c['body']), $c['headers'], $c['secrets'], $c['now']), $cases
));
"""
PYTHON = """
import base64, json, sys
from receiver import is_genuine
cases = json.load(sys.stdin)
print(json.dumps([is_genuine(base64.b64decode(c["body"]), c["headers"], c["secrets"], c["now"]) for c in cases]))
"""
LANGUAGES = {
    "node": (["node", "check.mjs"], "check.mjs", NODE),
    "php": (["php", "check.php"], "check.php", PHP),
    "python": ([sys.executable, "check.py"], "check.py", PYTHON),
}

Vector = Mapping[str, Any]


@pytest.fixture(params=VECTORS, ids=lambda path: path.name.split(".")[0])
def vector(request: pytest.FixtureRequest) -> Vector:
    return json.loads(request.param.read_text(encoding="utf-8"))


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """A folder with every file that the page shows."""
    for text in SAMPLE.findall(PAGE.read_text(encoding="utf-8")):
        found = NAME.search(text)
        assert found is not None, text
        (tmp_path / found[1]).write_text(text, encoding="utf-8")
    names = {path.name for path in tmp_path.iterdir()}
    ours = {"verify.mjs", "server.mjs", "verify.php", "hooks.php", "receiver.py"}
    assert names == ours | {"verify_treli.mjs", "verify_treli.php", "verify_treli.py"}
    return tmp_path


def cases(vector: Vector) -> Iterator[tuple[str, bool, dict[str, Any]]]:
    """What is asked of a sample: a name, the right answer and the request."""
    body, headers = vector["body"].encode(), vector["expected_headers"]
    secret, now = vector["secret"], vector["webhook_timestamp"]

    def case(**changes: Any) -> dict[str, Any]:
        made = {"body": body, "headers": headers, "secrets": [secret], "now": now, **changes}
        return made | {"body": base64.b64encode(made["body"]).decode()}

    def signed(value: str) -> dict[str, str]:
        return {**headers, "webhook-signature": value}

    mine = headers["webhook-signature"]
    yield "as published", True, case()
    yield "near the limit", True, case(now=now + 299)
    yield "signed by two", True, case(headers=signed(f"v1,{'A' * 43}= {mine}"))
    yield "another version first", True, case(headers=signed(f"v2,x {mine}"))
    yield "two secrets", True, case(secrets=["wh_tok_new", secret])
    yield "changed body", False, case(body=body.replace(b"50000", b"50001"))
    yield "one byte more", False, case(body=body + b"\n")
    yield "no body", False, case(body=b"")
    yield "other secret", False, case(secrets=["wh_tok_other"])
    yield "no secrets", False, case(secrets=[])
    yield "other id", False, case(headers={**headers, "webhook-id": "evt_other"})
    yield "other time", False, case(headers={**headers, "webhook-timestamp": str(now + 1)})
    yield "too old", False, case(now=now + 301)
    yield "from the future", False, case(now=now - 301)
    yield "no time", False, case(headers={**headers, "webhook-timestamp": ""})
    yield "no number as time", False, case(headers={**headers, "webhook-timestamp": "now"})
    yield "a huge time", False, case(headers={**headers, "webhook-timestamp": "9" * 5000})
    yield "wrong signature", False, case(headers=signed("v1," + "A" * 43 + "="))
    yield "empty signature", False, case(headers=signed(""))
    yield "nonsense as signature", False, case(headers=signed("señal , v1"))
    yield "cut signature", False, case(headers=signed(mine[:-4]))
    yield "no headers", False, case(headers={"content-type": "application/json"})


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sample_takes_the_published_vectors_and_nothing_else(samples: Path, vector: Vector, language: str) -> None:
    command, name, program = LANGUAGES[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {language} on this machine")
    (samples / name).write_text(program, encoding="utf-8")
    asked = list(cases(vector))
    ran = subprocess.run(
        command, cwd=samples, input=json.dumps([c for *_, c in asked]), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    verdicts = json.loads(ran.stdout)
    assert {name: verdict for (name, _, _), verdict in zip(asked, verdicts, strict=True)} == {
        name: right for name, right, _ in asked
    }


def treli_cases(vector: Vector) -> Iterator[tuple[str, bool, dict[str, Any]]]:
    """The same of a sample for the dialect treli."""
    body, header = vector["body"].encode(), vector["expected_headers"]["x-treli-signature"]
    secret, now = vector["secret"], vector["timestamp"]
    mine = header.partition("v1=")[2]
    other = "0" * 64

    def case(text: str | None = header, **changes: Any) -> dict[str, Any]:
        headers = {} if text is None else {"x-treli-signature": text}
        made = {"body": body, "headers": headers, "secrets": [secret], "now": now, **changes}
        return made | {"body": base64.b64encode(made["body"]).decode()}

    yield "as published", True, case()
    yield "near the limit", True, case(now=now + 299)
    yield "rotating, ours the old one", True, case(f"t={now},v1={other},v1={mine}")
    yield "rotating, ours the new one", True, case(f"t={now},v1={mine},v1={other}")
    yield "with spaces", True, case(f"t={now}, v1={other}, v1={mine}")
    yield "another version", True, case(f"t={now},v2=x,v1={mine}")
    yield "two secrets", True, case(secrets=["trl_whsec_new", secret])
    yield "changed body", False, case(body=body + b"\n")
    yield "other secret", False, case(secrets=["trl_whsec_other"])
    yield "no secrets", False, case(secrets=[])
    yield "other time", False, case(f"t={now + 1},v1={mine}")
    yield "too old", False, case(now=now + 301)
    yield "from the future", False, case(now=now - 301)
    yield "no time", False, case(f"v1={mine}")
    yield "no number as time", False, case(f"t=now,v1={mine}")
    yield "a huge time", False, case(f"t={'9' * 5000},v1={mine}")
    yield "wrong signatures", False, case(f"t={now},v1={other},v1={other}")
    yield "none", False, case(f"t={now}")
    yield "empty ones", False, case(f"t={now},v1=,v1")
    yield "of another version", False, case(f"t={now},v2={mine}")
    yield "nonsense", False, case("señal , v1 = =")
    yield "cut", False, case(header[:-4])
    yield "no header", False, case(None)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["webhook-minimal", "webhook-collection-paid"])
def test_a_sample_for_treli_takes_its_vectors_and_nothing_else(samples: Path, name: str, language: str) -> None:
    command, file, program = LANGUAGES[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {language} on this machine")
    for plain in ("verify.mjs", "verify.php", "from receiver"):
        program = program.replace(plain, plain.replace("verify", "verify_treli").replace("receiver", "verify_treli"))
    (samples / file).write_text(program, encoding="utf-8")
    asked = list(treli_cases(json.loads((TRELI / f"{name}.vector.json").read_text(encoding="utf-8"))))
    ran = subprocess.run(
        command, cwd=samples, input=json.dumps([c for *_, c in asked]), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    verdicts = {name: verdict for (name, _, _), verdict in zip(asked, json.loads(ran.stdout), strict=True)}
    assert verdicts == {name: right for name, right, _ in asked}


def test_the_vectors_are_those_of_our_own_signatures(vector: Vector) -> None:
    headers = vector["expected_headers"]
    made = standard_signature(
        vector["secret"], headers["webhook-id"], vector["webhook_timestamp"], vector["body"].encode()
    )
    assert made == headers["webhook-signature"]


def test_the_library_of_standard_webhooks_takes_them_too(vector: Vector) -> None:
    """With the time of the vector it makes the same signature; with the present, it verifies ours."""
    library = Webhook(vector["standard_webhooks_library_secret"])
    headers, body = vector["expected_headers"], vector["body"]
    then = datetime.fromtimestamp(vector["webhook_timestamp"], UTC)
    assert library.sign(headers["webhook-id"], then, body) == headers["webhook-signature"]
    now_s = int(time.time())
    fresh = {
        "webhook-id": headers["webhook-id"],
        "webhook-timestamp": str(now_s),
        "webhook-signature": standard_signature(vector["secret"], headers["webhook-id"], now_s, body.encode()),
    }
    assert library.verify(body.encode(), fresh) == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        library.verify(body.replace("50000", "50001").encode(), fresh)


@contextlib.contextmanager
def served(command: list[str], folder: Path, port: int, secret: str) -> Iterator[None]:
    process = subprocess.Popen(
        command, cwd=folder, stderr=subprocess.DEVNULL,
        env={**os.environ, "WEBHOOK_SECRETS": f"wh_tok_newer,{secret}", "PORT": str(port)},
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


async def survives(command: list[str], samples: Path) -> None:
    port, secret = free_port(), "wh_tok_" + "d" * 32
    with served(command, samples, port, secret):
        await_listener(port)
        ended = await recaudo(
            "webhooks", "torture", f"http://127.0.0.1:{port}/hooks", "--secret", secret, "--json",
            environment=environment(samples, None),
        )  # fmt: skip
    steps = json.loads(ended.out)["steps"]
    assert {step["name"]: step["remark"] for step in steps if step["verdict"] != "pass"} == {}
    assert ended.status == 0


def await_listener(port: int) -> None:
    """Wait until somebody listens there."""
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def test_the_whole_python_receiver_survives_the_torture_and_keeps_each_event_once(samples: Path) -> None:
    await survives([sys.executable, "receiver.py"], samples)
    with contextlib.closing(sqlite3.connect(samples / "inbox.sqlite")) as inbox:
        rows = inbox.execute("SELECT id, version, body FROM inbox").fetchall()
    # Steps that are taken, with two events in the wrong order, and the one with only webhook-signature right.
    assert len(rows) == 13
    assert sorted({version for _, version, _ in rows}) == [1, 2]
    assert all(json.loads(body)["event"]["id"] == event_id for event_id, _, body in rows)


async def test_the_whole_node_receiver_survives_the_torture(samples: Path) -> None:
    """With the real Express, where RECAUDO_TEST_NODE_MODULES names a folder that has it."""
    modules = os.environ.get("RECAUDO_TEST_NODE_MODULES")
    if modules is None or shutil.which("node") is None:
        pytest.skip("RECAUDO_TEST_NODE_MODULES names no folder with Express")
    (samples / "node_modules").symlink_to(modules)
    await survives(["node", "server.mjs"], samples)
