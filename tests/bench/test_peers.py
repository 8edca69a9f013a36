"""Peers are measured side by side, and one that loses or changes what it acknowledged gets no figures."""

import pytest

from bench import stage as stages
from bench.driven import Driven
from bench.options import BenchError, Options
from bench.peers import comparing, fetching
from bench.peers.comparing import Phase
from tests.bench import stand_in

pytestmark = pytest.mark.bench

QUICK = Options(
    seconds=0.5,
    warmup=0,
    rounds=1,
    connections=(3,),
    workers=(1,),
    rows=1,
    sizes=(1,),
    patience=0,
    home=None,
    json=None,
)


def phase(peer: str, per_second: float, *, work: str = "create", connections: int = 1) -> Phase:
    driven = Driven(acknowledged=9, per_second=per_second, p50_us=1_000, p99_us=2_000, cpu_s=0)
    return Phase(work=work, connections=connections, peer=peer, keeps="nothing", driven=driven)


def test_every_work_is_measured_on_both_and_what_was_created_is_read_back():
    with stages.opened(None) as stage:
        phases = comparing.measure(stage, [stand_in.HONEST], QUICK)
    found = [(row["work"], row["peer"]) for row in comparing.summarise(phases)]
    assert found == [(work, peer) for work in comparing.WORKS for peer in ("Recaudo", "stand-in")]
    assert all(phase.driven.acknowledged > 0 for phase in phases)


def test_a_peer_that_changes_what_it_acknowledged_gets_no_figures():
    with stages.opened(None) as stage, pytest.raises(BenchError, match="was acknowledged and Made"):
        comparing.measure(stage, [stand_in.LIAR], QUICK)


def test_the_ratio_is_the_median_of_each_round_s_own():
    rounds = [(100, 50), (100, 10), (30, 60)]
    phases = [made for ours, its in rounds for made in (phase("Recaudo", ours), phase("peer", its))]
    ours, its = comparing.summarise(phases)
    assert (ours["recaudo_by_it"], its["recaudo_by_it"]) == (1, 2)
    assert (its["lowest"], its["highest"]) == (0.5, 10)
    assert its["per_second"] == 50


def test_rows_stand_by_work_and_connections_with_ourselves_first():
    phases = [
        phase(peer, 1, work=work, connections=connections)
        for work in ("list", "create")
        for connections in (64, 1)
        for peer in ("another", "Recaudo")
    ]
    rows = [(row["work"], row["connections"], row["peer"]) for row in comparing.summarise(phases)]
    assert rows[:3] == [("create", 1, "Recaudo"), ("create", 1, "another"), ("create", 64, "Recaudo")]


def test_an_index_that_has_something_else_is_an_error_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    line = "recaudo-peer-that-is-not-there==1 --hash=sha256:" + "0" * 64
    with pytest.raises(BenchError, match="could not be fetched from the package index"):
        fetching.fetch("nobody", line, needs=[line], folder=tmp_path / "nobody")
