"""The fakes run on the caller's loop, in a thread and as a program."""

import ast
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import tests.fakes
from tests.fakes import Payer, Scenario, State, fakes_in_thread, running_fakes
from tests.fakes.__main__ import arguments

HERE = Path(tests.fakes.__file__).parent


async def test_without_a_frozen_clock_payments_end_by_themselves(payer: Payer):
    async with running_fakes(settle_seconds=0.01) as fakes:
        shop = fakes.wompi.merchant()
        fields = fakes.wompi.checkout_fields(shop, "rc1x", 100)
        await payer.pay(fakes.wompi.checkout_url, "approve", fields=fields)
        await fakes.advance(0.02)
        assert fakes.wompi.approved("rc1x") == 100


def test_in_a_thread():
    with fakes_in_thread(frozen=True) as fakes:
        shop = fakes.wompi.merchant()
        fakes.wompi.scenarios.default = Scenario(partial=10)

        async def pay() -> None:
            async with Payer() as payer:
                fields = fakes.wompi.checkout_fields(shop, "rc1x", 1000)
                await payer.pay(fakes.wompi.checkout_url, "pending", fields=fields)

        fakes.run(pay())
        made = fakes.call(lambda: fakes.wompi.by_reference["rc1x"][0])
        fakes.call(lambda: fakes.wompi.settle(made.id))
        assert (made.state, fakes.wompi.approved()) == (State.APPROVED, 990)
        fakes.run(fakes.advance(1))


def test_as_a_program_it_prints_addresses_and_keys():
    command = [sys.executable, "-m", "tests.fakes", "--port", "0", "--wompi", "--mercadopago", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=HERE.parent.parent, text=True) as program:
        try:
            assert program.stdout
            told = json.loads(program.stdout.readline())
            with urllib.request.urlopen(f"{told['wompi']['api']}/merchants/{told['wompi']['public_key']}") as answer:
                assert json.load(answer)["data"]["presigned_acceptance"]["acceptance_token"]
            me = urllib.request.Request(
                f"{told['mercadopago']['api']}/users/me",
                headers={"Authorization": f"Bearer {told['mercadopago']['access_token']}"},
            )
            with urllib.request.urlopen(me) as answer:
                assert json.load(answer)["site_id"] == "MCO"
        finally:
            program.terminate()
        assert program.wait(timeout=10) == 0


def test_the_command_line_runs_both_unless_told_otherwise():
    assert (arguments([]).wompi, arguments([]).mercadopago) == (True, True)
    assert arguments(["--wompi"]).mercadopago is False


def test_the_fakes_import_nothing_of_recaudo():
    for file in HERE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [n for n in names if n.split(".")[0] == "recaudo"], file.name
