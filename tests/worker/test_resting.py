"""Whom not to ask for a while."""

from datetime import UTC, datetime, timedelta

from recaudo.usecases.resting import KEYS_MAX, RESTS_AFTER, RESTS_FOR, Rests

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def silent(rests: Rests, times: int, key: str = "a") -> None:
    for _ in range(times):
        rests.note(key, NOW, answered=False)


def test_who_was_silent_often_enough_is_left_alone_for_a_while() -> None:
    rests = Rests()
    silent(rests, RESTS_AFTER - 1)
    assert not rests.is_resting("a", NOW)
    silent(rests, 1)
    assert rests.is_resting("a", NOW)
    assert not rests.is_resting("b", NOW)
    assert not rests.is_resting("a", NOW + RESTS_FOR)


def test_after_a_rest_one_more_silence_is_enough_and_an_answer_ends_it() -> None:
    rests = Rests()
    silent(rests, RESTS_AFTER)
    later = NOW + RESTS_FOR
    rests.note("a", later, answered=False)
    assert rests.is_resting("a", later + timedelta(seconds=1))
    rests.note("a", later, answered=True)
    assert not rests.is_resting("a", later)


def test_what_is_remembered_has_a_limit() -> None:
    rests = Rests()
    silent(rests, RESTS_AFTER)
    for number in range(KEYS_MAX):
        rests.note(number, NOW, answered=False)
    assert not rests.is_resting("a", NOW)
