"""The queries of lists: pages, filters, orders, and what is wrong with them (OnePay spec, sections 3.2 and 4)."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from recaudo.dialects.onepay.parse import InvalidQueryError, parse_list
from recaudo.dialects.onepay.queries import Kind
from recaudo.store import customers, views
from recaudo.store.lists import PageRequest

ID = UUID("019a0227-e3c0-7000-8000-000000000001")
KINDS: Sequence[Kind] = ("invoices", "payments", "payment_intents", "customers")


def page_of(*query: tuple[str, str], kind: Kind = "invoices") -> PageRequest:
    return parse_list(query, kind)[0]


def filters_of(*query: tuple[str, str], kind: Kind = "invoices") -> dict[str, list[object]]:
    return parse_list(query, kind)[1]


def refused(*query: tuple[str, str], kind: Kind = "invoices") -> InvalidQueryError:
    with pytest.raises(InvalidQueryError) as raised:
        parse_list(query, kind)
    return raised.value


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_query_it_is_the_first_page_newest_first(kind: Kind):
    assert parse_list([], kind) == (PageRequest(page=1, per_page=20, sort="-created_at"), {}, [])


# --- Pages ---


@pytest.mark.parametrize(("name", "low", "high"), [("page", 1, 10**12), ("per_page", 1, 100)])
def test_pages_are_accepted_up_to_both_bounds(name: str, low: int, high: int):
    assert [getattr(page_of((name, str(number))), name) for number in (low, high)] == [low, high]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page", "0"),
        ("page", str(10**12 + 1)),
        ("page", "9" * 5000),
        ("per_page", "0"),
        ("per_page", "101"),
        *[
            (name, value)
            for name in ("page", "per_page")
            for value in ("", "x", "-1", "1.0", "1e1", "+1", "٣", "1\x00")
        ],
    ],
)
def test_pages_out_of_range_are_refused_by_parameter(name: str, value: str):
    error = refused((name, value))
    assert list(error.errors) == [name]
    assert error.message == error.errors[name][0]


def test_of_a_parameter_sent_twice_the_last_one_counts():
    assert page_of(("page", "x"), ("page", "2")).page == 2


# --- Orders ---


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sort", ["created_at", "-created_at", "paid_at", "-paid_at", "amount", "", "created_at,id"])
def test_only_payment_intents_are_sorted_by_payment(kind: Kind, sort: str):
    if sort.endswith("created_at") or (kind == "payment_intents" and sort.endswith("paid_at")):
        assert page_of(("sort", sort), kind=kind).sort == sort
    else:
        error = refused(("sort", sort), kind=kind)
        assert "created_at, -created_at" in error.errors["sort"][0]
        assert sort in error.message


# --- Filters ---


def test_an_unknown_filter_is_refused_as_in_the_specification():
    error = refused(("filter[foo]", "x"))
    assert error.message == (
        "Filtro no permitido: foo. Filtros permitidos: status, reference, provider, provider_id, id."
    )
    assert error.errors == {
        "filter[foo]": ["Filtro no permitido. Permitidos: status, reference, provider, provider_id, id."]
    }


@pytest.mark.parametrize("name", ["filter[]", "filter[status", "filter[status][]", "filter[status]x", "filter[Status]"])
def test_a_filter_that_is_not_written_right_is_unknown(name: str):
    assert list(refused((name, "CREATED")).errors) == [name]


@pytest.mark.parametrize(
    ("kind", "offered", "known"),
    [
        ("invoices", "status, reference, provider, provider_id, id", views._INVOICE_FILTERS),
        ("payments", "status, id, external_id, reference", views._COLLECTION_FILTERS),
        ("payment_intents", "id, status, external_id", views._ATTEMPT_FILTERS),
        ("customers", "id, document_number, email, phone", customers._FILTERS),
    ],
)
def test_every_filter_that_is_offered_is_one_of_the_store(kind: Kind, offered: str, known: dict[str, str]):
    assert refused(("filter[x]", "x"), kind=kind).errors["filter[x]"] == [
        f"Filtro no permitido. Permitidos: {offered}."
    ]
    assert set(offered.split(", ")) <= {*known, "status"}
    for name in set(offered.split(", ")) - {"status"}:
        assert list(filters_of((f"filter[{name}]", "x"), kind=kind)) == [name]


STATUSES: list[tuple[Kind, str, list[str]]] = [
    ("invoices", "CREATED", ["open"]),
    ("invoices", "PARTIALLY_PAID", ["part"]),
    ("invoices", "PAID", ["paid"]),
    ("invoices", "CANCELLED", ["void"]),
    ("invoices", "UNCOLLECTIBLE", ["uncollectible"]),
    ("invoices", "created, Paid", ["open", "paid"]),
    ("payments", "pending", ["pending"]),
    ("payments", "in_progress", ["in_progress"]),
    ("payments", "partially_paid", ["part"]),
    ("payments", "approved", ["paid"]),
    ("payments", "refunded", ["refunded"]),
    ("payments", "cancelled", ["cancelled"]),
    ("payments", "expired", ["expired"]),
    ("payments", "partial_expired", ["part_expired"]),
    ("payments", "declined", []),
    ("payments", "DECLINED,Approved", ["paid"]),
    ("payment_intents", "created", ["created"]),
    ("payment_intents", "processing", ["processing", "unknown"]),
    ("payment_intents", "paid", ["succeeded"]),
    ("payment_intents", "succeeded", ["succeeded"]),
    ("payment_intents", "failed", ["failed"]),
    ("payment_intents", "refunded", ["refunded"]),
    ("payment_intents", "disputed", ["disputed"]),
    ("invoices", "PAID,", ["paid"]),
]


@pytest.mark.parametrize(("kind", "words", "core"), STATUSES)
def test_status_words_become_those_of_the_core(kind: Kind, words: str, core: list[str]):
    assert filters_of(("filter[status]", words), kind=kind) == {"status": core}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("invoices", "open"),
        ("invoices", ""),
        ("invoices", "PAID,x"),
        ("payments", "paid"),
        ("payment_intents", "approved"),
    ],
)
def test_an_unknown_status_is_refused_and_the_known_ones_are_named(kind: Kind, words: str):
    error = refused(("filter[status]", words), kind=kind)
    assert list(error.errors) == ["filter[status]"]
    assert next(word for k, word, _ in STATUSES if k == kind) in error.errors["filter[status]"][0]


@pytest.mark.parametrize(
    ("value", "words"),
    [("A-1", ["A-1"]), (" A-1 , b ,", ["A-1", "b"]), ("", []), (" ", []), ("a\x00,\ud800,b", ["b"]), ("Ñ", ["Ñ"])],
)
def test_text_filters_are_words_after_trimming_and_what_no_row_can_hold_is_left_out(value: str, words: list[str]):
    assert filters_of(("filter[reference]", value)) == {"reference": words}


@pytest.mark.parametrize(
    ("value", "ids"),
    [(str(ID), [ID]), (str(ID).upper(), [ID]), (f"x, {ID}", [ID]), ("x", []), ("", []), (ID.hex, []), ("\x00", [])],
)
@pytest.mark.parametrize("kind", KINDS)
def test_an_id_that_is_no_uuid_matches_nothing(kind: Kind, value: str, ids: list[UUID]):
    assert filters_of(("filter[id]", value), kind=kind) == {"id": ids}


def test_several_filters_mean_all_of_them():
    query = [("filter[provider]", "biller"), ("filter[provider_id]", "1,2"), ("filter[status]", "PAID")]
    assert filters_of(*query) == {"provider": ["biller"], "provider_id": ["1", "2"], "status": ["paid"]}


# --- Plain parameters of customers (12.2) ---


def test_customers_take_document_number_and_limit_as_plain_parameters():
    page, filters, ignored = parse_list([("document_number", "123"), ("limit", "100")], "customers")
    assert (page.per_page, filters, ignored) == (100, {"document_number": ["123"]}, [])


@pytest.mark.parametrize("value", ["0", "101", "x"])
def test_a_limit_has_the_bounds_of_per_page(value: str):
    assert list(refused(("limit", value), kind="customers").errors) == ["limit"]


def test_the_named_form_wins_over_the_plain_one():
    query = [("per_page", "7"), ("limit", "x"), ("filter[document_number]", "1"), ("document_number", "2")]
    page, filters, _ = parse_list(query, "customers")
    assert (page.per_page, filters) == (7, {"document_number": ["1"]})


def test_other_lists_do_not_know_them():
    assert parse_list([("document_number", "123"), ("limit", "5")], "invoices")[2] == ["document_number", "limit"]


# --- Unknown parameters, all errors ---


@pytest.mark.parametrize("name", ["foo", "filter", "Page", "status", "n" * 100])
def test_other_parameters_are_ignored_and_reported(name: str):
    assert parse_list([(name, "x")], "invoices") == (PageRequest(), {}, [name])


def test_reported_names_are_short_and_can_be_encoded():
    assert parse_list([("\ud800", ""), ("n" * 1000, "")], "invoices")[2] == ["?", "n" * 100]


def test_all_errors_are_reported_together():
    query: list[tuple[str, str]] = [("page", "0"), ("filter[foo]", "x"), ("sort", "x"), ("filter[status]", "x")]
    error = refused(*query)
    assert list(error.errors) == ["page", "filter[foo]", "sort", "filter[status]"]
    assert error.message.startswith("El parámetro page debe ser un número entero desde 1. Filtro no permitido: foo.")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_shown_of_a_bad_query_is_short(kind: Kind):
    long: Any = "\ud800" * 5000
    error = refused((f"filter[{long}]", long), ("sort", long), kind=kind)
    assert all(len(name) <= 100 for name in error.errors)
    assert len(error.message) < 1000
    error.message.encode()
