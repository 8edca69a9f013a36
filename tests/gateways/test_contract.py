"""What every gateway must do, whoever the vendor is (gateways specification, sections 1.7 to 1.13).

Real adapters against vendors' fakes over HTTP, notices over HTTP, a real database. The sandbox, which has no vendor
behind it, passes the part that its outcomes can play.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from recaudo.domain.states import AttemptState, RefundState, RefusedError
from recaudo.store.database import DatabaseAwayError
from recaudo.usecases import attempts, gateways, invoices, reconciling, refunds
from recaudo.usecases.attempts import StartAttempt
from recaudo.usecases.gateways import GatewayBusyError
from recaudo.usecases.refunds import RefundCommand
from recaudo.worker import loops
from tests.databases import TELLING, own_database
from tests.fakes import Outcome, Reverse, Scenario, State, Tamper
from tests.gateways.till import PRICE_MINOR, Till, a_till

VENDORS = [("wompi", "card"), ("wompi", "pse"), ("mercadopago", "card"), ("mercadopago", "pse")]


@pytest.fixture(scope="module")
async def own_url(embedded_url: str) -> AsyncIterator[str]:
    async with own_database(embedded_url) as url:
        yield url


@pytest.fixture(params=VENDORS, ids="-".join)
async def till(request: pytest.FixtureRequest, own_url: str) -> AsyncIterator[Till]:
    kind, method = request.param
    async with a_till(own_url, kind, method) as made:
        yield made


@pytest.fixture
async def sandbox(own_url: str) -> AsyncIterator[Till]:
    async with a_till(own_url, "sandbox", "card") as made:
        yield made
        await made.assert_sound()


# 1 to 5: what may become of a payment


async def test_a_plain_approval_pays_the_invoice(till: Till) -> None:
    invoice_id = await till.invoice()
    attempt = await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED))
    await till.advance(10)
    assert await till.invoice_state(invoice_id) == ("paid", PRICE_MINOR)
    now = await till.attempt(attempt.id)
    assert (now.state, now.ask_at) == (AttemptState.SUCCEEDED, None)
    assert now.method is not None
    assert now.method["brand"]
    await till.assert_sound()
    await till.assert_reconciled()


async def test_a_decline_leaves_the_collection_open(till: Till) -> None:
    invoice_id = await till.invoice()
    attempt = await till.pay(invoice_id, Scenario(outcome=Outcome.DECLINED))
    await till.advance(10)
    now = await till.attempt(attempt.id)
    assert now.state is AttemptState.FAILED
    assert now.failure_code
    assert now.failure_text
    assert await till.invoice_state(invoice_id) == ("open", 0)
    await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED))
    await till.advance(10)
    assert await till.invoice_state(invoice_id) == ("paid", PRICE_MINOR)
    await till.assert_sound()


async def test_a_decline_and_an_approval_under_one_reference_is_paid_once(till: Till) -> None:
    invoice_id = await till.invoice()
    attempt = await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED, retry_by_payer=True))
    await till.run(0.5)
    assert (await till.attempt(attempt.id)).state is AttemptState.SUCCEEDED
    assert await till.receipts() == [PRICE_MINOR]
    await till.assert_sound()
    await till.assert_reconciled()


async def test_a_late_decline_of_another_transaction_changes_nothing(till: Till) -> None:
    invoice_id = await till.invoice()
    attempt = await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED, late_decline=True))
    await till.run(0.5)
    assert (await till.attempt(attempt.id)).state is AttemptState.SUCCEEDED
    assert await till.invoice_state(invoice_id) == ("paid", PRICE_MINOR)
    await till.assert_sound()


async def test_two_approvals_give_one_paid_invoice_and_one_credit(till: Till) -> None:
    invoice_id = await till.invoice()
    await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED, double_approve=True))
    await till.run(0.5)
    assert await till.receipts() == [PRICE_MINOR, PRICE_MINOR]
    assert await till.credit_minor() == PRICE_MINOR
    assert await till.invoice_state(invoice_id) == ("paid", PRICE_MINOR)
    assert "collection.overpaid" in await till.events(invoice_id)
    await till.assert_sound()
    await till.assert_reconciled()


@pytest.mark.parametrize("burst", [False, True])
async def test_ten_copies_of_a_notice_give_one_receipt(till: Till, burst: bool) -> None:
    invoice_id = await till.invoice()
    await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED, duplicate=10, burst=burst, announce_pending=True))
    await till.advance(10)
    assert await till.receipts() == [PRICE_MINOR]
    kept = await till.row("SELECT count(*) AS n FROM gateway_notice WHERE account_id = $1", till.account.id)
    # Mercado Pago signs each copy anew, so only what it says of the payment makes them one.
    assert kept["n"] < 10 or till.kind == "mercadopago"
    await till.assert_sound()


async def test_notices_in_the_wrong_order_end_the_same(till: Till) -> None:
    invoice_id = await till.invoice()
    scenario = Scenario(outcome=Outcome.APPROVED, retry_by_payer=True, reorder=True, announce_pending=True, duplicate=2)
    attempt = await till.pay(invoice_id, scenario)
    await till.run(0.5)
    assert (await till.attempt(attempt.id)).state is AttemptState.SUCCEEDED
    assert await till.receipts() == [PRICE_MINOR]
    await till.assert_sound()


# 8 to 12: what cannot be trusted, and what does not come


@pytest.mark.parametrize("tamper", [Tamper.BYTE, Tamper.KEY])
async def test_a_forged_notice_changes_nothing_and_the_money_is_found_all_the_same(till: Till, tamper: Tamper) -> None:
    invoice_id = await till.invoice()
    await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED, tamper=tamper))
    await till.fakes.advance(2)
    await till.fakes.drain_notices()
    told = [t.status for n in till.fake.notices for t in n.tries]
    assert set(told) == {401}
    assert await till.receipts() == []
    assert {
        n["verdict"]
        for n in await till.rows("SELECT verdict FROM gateway_notice WHERE account_id = $1", till.account.id)
    } == {"invalid"}
    await till.run(0.1)
    assert await till.receipts() == [PRICE_MINOR]
    await till.assert_sound()


async def test_a_well_signed_notice_that_lies_books_nothing(till: Till) -> None:
    invoice_id = await till.invoice()
    attempt = await till.pay(invoice_id, Scenario(outcome=Outcome.PENDING, lie=True))
    await till.advance(30)
    assert await till.receipts() == []
    assert (await till.attempt(attempt.id)).state is AttemptState.PROCESSING
    await till.assert_sound()


async def test_a_payer_who_never_returns_and_a_notice_that_never_comes_are_made_up_for_by_asking(till: Till) -> None:
    invoice_id = await till.invoice()
    await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED, drop=True))
    await till.run(0.1)
    assert await till.invoice_state(invoice_id) == ("paid", PRICE_MINOR)
    await till.assert_sound()


async def test_a_pending_of_three_days_is_shown_as_pending_and_paid_in_the_end(till: Till) -> None:
    invoice_id = await till.invoice()
    attempt = await till.pay(invoice_id, Scenario(outcome=Outcome.PENDING_THEN_APPROVED, after=3 * 86_400, drop=True))
    await till.run(48)
    assert (await till.attempt(attempt.id)).state is AttemptState.PROCESSING
    await till.run(48)
    assert await till.invoice_state(invoice_id) == ("paid", PRICE_MINOR)
    await till.assert_sound()


async def test_late_money_on_a_replaced_link_pays_the_invoice(till: Till) -> None:
    invoice_id = await till.invoice()
    await till.pay(invoice_id, Scenario(outcome=Outcome.PENDING_THEN_APPROVED, after=7_200))
    await till.advance(5)
    await invoices.change(
        till.core, till.account, invoice_id, lambda _: {"amount_minor": 6_000_000}, lambda _: (200, b""), once=None
    )
    await till.run(4)
    assert await till.invoice_state(invoice_id) == ("open", PRICE_MINOR)
    live = await till.rows(
        "SELECT amount_minor FROM collection WHERE invoice_id = $1 AND state = 'pending'", invoice_id
    )
    assert [c["amount_minor"] for c in live] == [6_000_000 - PRICE_MINOR]
    await till.assert_sound()


# 13 to 15: amounts, currencies, environments, references


async def test_less_than_asked_is_a_part(till: Till) -> None:
    invoice_id = await till.invoice()
    await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED, partial=100_000))
    await till.advance(10)
    assert await till.invoice_state(invoice_id) == ("open", PRICE_MINOR - 100_000)
    await till.assert_sound()
    await till.assert_reconciled()


async def test_more_than_asked_is_credit(till: Till) -> None:
    invoice_id = await till.invoice()
    await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED, over=100_000))
    await till.advance(10)
    assert await till.invoice_state(invoice_id) == ("paid", PRICE_MINOR)
    assert await till.credit_minor() == 100_000
    await till.assert_sound()


async def test_another_currency_is_never_converted(till: Till) -> None:
    invoice_id = await till.invoice()
    await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED, wrong_currency=True))
    await till.run(0.1)
    assert await till.receipts() == []
    assert set(await till.suspense()) <= {"wrong_currency"}
    assert await till.invoice_state(invoice_id) == ("open", 0)
    await till.assert_sound(suspense=True)


async def test_a_payment_of_the_other_environment_never_pays(till: Till) -> None:
    invoice_id = await till.invoice()
    await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED, wrong_env=True))
    await till.run(0.1)
    if till.kind == "wompi":
        # Wompi's transactions name no environment: those of another are not under our keys, and its notices say it.
        assert {
            n["verdict"]
            for n in await till.rows("SELECT verdict FROM gateway_notice WHERE account_id = $1", till.account.id)
        } == {"invalid"}
        return
    assert await till.receipts() == []
    assert set(await till.suspense()) == {"wrong_environment"}
    await till.assert_sound(suspense=True)


async def test_money_under_an_unknown_reference_of_ours_is_kept_and_reported_and_never_booked(till: Till) -> None:
    invoice_id = await till.invoice()
    attempt = await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED))
    async with till.core.database.connection() as connection:
        # As after a restore from an old backup: the vendor knows a reference that we do not.
        await connection.execute(
            "UPDATE attempt SET reference = 'rc' || repeat('0', 24) || 'x' WHERE id = $1", attempt.id
        )
    await till.advance(10)
    assert await till.receipts() == []
    assert await till.suspense() == ["unmatched"]


# 16 and 17: money that goes back


async def test_a_reversal_after_success_is_booked_and_told(till: Till) -> None:
    invoice_id = await till.invoice()
    attempt = await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED, reverse=Reverse.REFUNDED, reverse_after=60))
    await till.advance(10)
    assert await till.receipts() == [PRICE_MINOR]
    await till.run(0.2)
    assert await till.receipts() == [PRICE_MINOR, -PRICE_MINOR]
    assert (await till.attempt(attempt.id)).state is AttemptState.REFUNDED
    assert await till.invoice_state(invoice_id) == ("paid", 0)
    assert "collection.refunded" in await till.events(invoice_id)
    await till.assert_sound()
    await till.assert_reconciled()


async def test_a_word_that_is_taken_back_is_believed_only_when_it_is_repeated(till: Till) -> None:
    invoice_id = await till.invoice()
    await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED, reverse=Reverse.DECLINED, reverse_after=60))
    await till.advance(10)
    await till.run(0.2)
    assert await till.receipts() == [PRICE_MINOR, -PRICE_MINOR]
    assert "attempt.doubted" in await till.events(invoice_id)
    await till.assert_sound()


async def test_what_is_taken_back_without_a_notice_is_found_by_the_daily_comparison(till: Till) -> None:
    invoice_id = await till.invoice()
    scenario = Scenario(outcome=Outcome.APPROVED, reverse=Reverse.DECLINED, reverse_after=3600, drop=True)
    await till.pay(invoice_id, scenario)
    await till.run(2)
    assert await till.receipts() == [PRICE_MINOR]
    now = till.core.clock.now()
    for wanted in (["not_there"], []):
        it = (await gateways.list_all(till.core, till.account))[0]
        made = await reconciling.compare(till.core, till.account, it, now.replace(year=now.year - 1), now)
        assert made is not None
        assert [d.kind for d in reconciling.differences(made)] == wanted
        await till.advance(61)
        await till.advance(61)
    assert await till.receipts() == [PRICE_MINOR, -PRICE_MINOR]
    await till.assert_sound()


async def test_a_refund_through_the_gateway(till: Till) -> None:
    invoice_id = await till.invoice()
    await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED))
    await till.advance(10)
    receipt = await till.row("SELECT id FROM receipt WHERE account_id = $1", till.account.id)
    ability = till.core.gateways[till.kind].abilities.refunds
    parts = [2_000_000, None] if ability == "partial" else [None]
    states = [await _refund(till, receipt["id"], part) for part in parts]
    if till.method == "pse" and ability == "void":
        assert states == ["failed: refund_not_supported"], "only cards can be voided"
        await till.assert_sound()
        return
    assert states == ["succeeded"] * len(parts)
    assert sum(await till.receipts()) == 0
    assert await till.gateway_book_minor() == 0
    await till.run(0.5)
    assert sum(await till.receipts()) == 0, "the gateway's own report of the refund books nothing a second time"
    await till.assert_sound()
    await till.assert_reconciled()


async def _refund(till: Till, receipt_id: object, amount_minor: int | None) -> str:
    made: list[RefundState] = []
    command = RefundCommand(receipt_id=receipt_id, amount_minor=amount_minor, reason="devolución")  # type: ignore[arg-type]
    await refunds.start(
        till.core, till.account, command, lambda r: (made.append(r.state) or 201, str(r.id).encode()), once=None
    )
    await till.advance(5)
    await till.run(0.1)
    row = await till.row(
        "SELECT state, failure_code FROM refund WHERE account_id = $1 ORDER BY id DESC LIMIT 1", till.account.id
    )
    assert row["failure_code"] is None or row["state"] == "failed", row["failure_code"]
    return row["state"] if row["state"] != "failed" else f"failed: {row['failure_code']}"


async def test_a_refund_that_was_sent_and_not_noted_is_never_sent_again_nor_called_failed(till: Till) -> None:
    """The process dies between the gateway's answer and ours; then the gateway is away for a while."""
    if till.method == "pse" and till.kind == "wompi":
        pytest.skip("Wompi gives back only cards")
    invoice_id = await till.invoice()
    await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED, reverse=None, drop=True))
    await till.run(0.1)
    receipt = await till.row("SELECT id FROM receipt WHERE account_id = $1", till.account.id)
    command = RefundCommand(receipt_id=receipt["id"], amount_minor=None, reason="x")
    await refunds.start(till.core, till.account, command, lambda _: (201, b""), once=None)
    conclude = refunds._conclude_once

    async def dies(*_: object) -> object:
        raise DatabaseAwayError

    refunds._conclude_once = dies
    try:
        await till.advance(1)
    finally:
        refunds._conclude_once = conclude
    sent = [c for c in till.fake.calls if c.method == "POST" and ("void" in c.path or "refunds" in c.path)]
    assert len(sent) == 1
    row = await till.row("SELECT state, asked FROM refund WHERE account_id = $1", till.account.id)
    assert (row["state"], row["asked"] > 0) == ("created", True)
    await till.run(1)
    row = await till.row("SELECT state FROM refund WHERE account_id = $1", till.account.id)
    assert row["state"] == "succeeded"
    assert sum(await till.receipts()) == 0
    assert till.fake.money().returned == PRICE_MINOR
    await till.assert_sound()


async def test_keys_of_another_account_at_the_vendor_wait_until_nothing_is_open(till: Till) -> None:
    invoice_id = await till.invoice()
    await till.start(invoice_id, Scenario(outcome=Outcome.PENDING))
    if till.kind == "wompi":
        other = till.fakes.wompi.merchant()
        keys = {
            "public_key": other.public_key,
            "private_key": other.private_key,
            "events_secret": other.events_secret,
            "integrity_secret": other.integrity_secret,
        }
    else:
        keys = {"access_token": till.fakes.mercadopago.merchant().access_token + "-9"}
    it = (await gateways.list_all(till.core, till.account))[0]
    with pytest.raises(GatewayBusyError):
        await gateways.change(
            till.core, till.account, it.id, lambda _: {"credentials": keys}, lambda _: (200, b""), once=None
        )


async def test_nobody_begins_more_attempts_than_anybody_needs(till: Till) -> None:
    invoice_id = await till.invoice()
    till.fake.scenarios.default = Scenario(outcome=Outcome.PENDING)
    for _ in range(attempts.UNDECIDED_MAX):
        await till.start(invoice_id, again=True)
    with pytest.raises(RefusedError):
        await till.start(invoice_id, again=True)


# 18 to 20, and the ways in which a call can go wrong


FAULTS = {
    "an error": Scenario(outcome=Outcome.APPROVED, http_500=2),
    "a limit on calls": Scenario(outcome=Outcome.APPROVED, http_429=2, retry_after=1),
    "a page instead of an answer": Scenario(outcome=Outcome.APPROVED, html=2),
    "a cut after the charge": Scenario(outcome=Outcome.APPROVED, timeout_after_commit=1),
    "an error after the charge": Scenario(outcome=Outcome.APPROVED, http_500_after_commit=1),
    "a list that lags behind": Scenario(outcome=Outcome.APPROVED, timeout_after_commit=1, search_lag=40.0, drop=True),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_is_charged_twice_whatever_goes_wrong_at_the_vendor(till: Till, fault: str) -> None:
    invoice_id = await till.invoice()
    scenario = FAULTS[fault]
    attempt = await till.start(invoice_id, scenario)
    await till.go(attempt)
    await till.run(1)
    now = await till.attempt(attempt.id)
    money = till.fake.money(attempt.reference)
    assert sum(await till.receipts()) == money.net
    assert now.state is (AttemptState.SUCCEEDED if money.approved else AttemptState.FAILED)
    assert len(till.fake.by_reference.get(attempt.reference, [])) <= 1
    await till.assert_sound()


async def test_a_gateway_that_cannot_be_reached_fails_at_once_and_can_be_tried_again(till: Till) -> None:
    invoice_id = await till.invoice()
    till.fake.scenarios.default = Scenario(http_500=50)
    attempt = await till.start(invoice_id, Scenario(http_500=50))
    now = await till.attempt(attempt.id)
    if till.method == "card" and till.kind == "wompi":
        assert now.state is AttemptState.CREATED, "the form needs no call"
        return
    assert (now.state, now.failure_code) == (AttemptState.FAILED, "gateway_unavailable")
    it = await till.row("SELECT last_problem FROM gateway WHERE account_id = $1", till.account.id)
    assert it["last_problem"]
    await till.assert_sound()


async def test_a_double_click_is_one_attempt(till: Till) -> None:
    invoice_id = await till.invoice()
    first = await till.start(invoice_id, Scenario(outcome=Outcome.APPROVED), once_key="the page's own key")
    again = await till.start(invoice_id, once_key="the page's own key")
    assert again.id == first.id
    assert len(till.fake.by_reference) <= 1


async def test_asking_a_notice_and_a_return_at_once_give_one_receipt(till: Till) -> None:
    invoice_id = await till.invoice()
    attempt = await till.pay(invoice_id, Scenario(outcome=Outcome.APPROVED, duplicate=3, burst=True))
    await till.fakes.advance(5)
    asked = [attempts.ask(till.core, till.account, attempt.id, extra=True) for _ in range(4)]
    await asyncio.gather(*asked, loops.drain(till.core, TELLING), till.fakes.drain_notices())
    await till.advance(10)
    assert await till.receipts() == [PRICE_MINOR]
    await till.assert_sound()


async def test_a_page_that_was_left_is_given_up_a_day_after_its_time(till: Till) -> None:
    if till.method == "pse" and till.kind == "wompi":
        pytest.skip("PSE of Wompi is begun by a call, not by the payer on a page")
    invoice_id = await till.invoice()
    attempt = await till.start(invoice_id)
    await till.run(20)
    assert (await till.attempt(attempt.id)).state is AttemptState.CREATED
    await till.run(12)
    now = await till.attempt(attempt.id)
    assert (now.state, now.failure_code, now.ask_at) == (AttemptState.FAILED, "abandoned", None)
    await till.assert_sound()


# The sandbox


async def test_the_sandbox_keeps_the_contract(sandbox: Till) -> None:
    wanted = {
        "approve": ("succeeded", PRICE_MINOR, 0),
        "decline": ("failed", 0, 0),
        "approve_twice": ("succeeded", 2 * PRICE_MINOR, PRICE_MINOR),
        "pending_then_approve": ("succeeded", PRICE_MINOR, 0),
        "never_answer": ("unknown", 0, 0),
    }
    for outcome, (state, arrived_minor, _) in wanted.items():
        invoice_id = await sandbox.invoice()
        invoice = await sandbox.row("SELECT collection_id FROM invoice WHERE id = $1", invoice_id)
        attempt = await attempts.start(
            sandbox.core,
            sandbox.account,
            StartAttempt(
                collection_id=invoice["collection_id"],
                amount_minor=PRICE_MINOR,
                gateway="sandbox",
                method="card",
                once_key=outcome,
                gateway_data={"outcome": outcome},
            ),
        )
        await sandbox.advance(20)
        await sandbox.advance(20)
        assert (await sandbox.attempt(attempt.id)).state == state, outcome
        row = await sandbox.row(
            "SELECT coalesce(sum(amount_minor), 0) AS sum FROM receipt WHERE invoice_id = $1", invoice_id
        )
        assert row["sum"] == arrived_minor, outcome
    assert await sandbox.credit_minor() == PRICE_MINOR


async def test_a_refund_in_the_sandbox_has_every_end(sandbox: Till) -> None:
    for reason, state in {"por error": "succeeded", "decline": "failed", "never_answer": "unknown"}.items():
        invoice_id = await sandbox.invoice()
        await sandbox.start(invoice_id, gateway_data={"outcome": "approve"})
        receipt = await sandbox.row("SELECT id FROM receipt WHERE invoice_id = $1", invoice_id)
        command = RefundCommand(receipt_id=receipt["id"], amount_minor=None, reason=reason)
        await refunds.start(sandbox.core, sandbox.account, command, lambda _: (201, b""), once=None)
        await sandbox.advance(1)
        row = await sandbox.row("SELECT state, failure_code FROM refund WHERE receipt_id = $1", receipt["id"])
        assert row["state"] == state


def test_every_state_of_the_fakes_is_played_by_some_case() -> None:
    """A new end of a payment in the fakes must get its case here."""
    assert {s.value for s in State} >= {"approved", "declined", "pending"}
