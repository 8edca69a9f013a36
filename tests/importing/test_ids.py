"""Ids for thousands of rows at once: as good as single ones, and in the order of the file."""

from datetime import UTC, datetime

from recaudo.system import RandomIds


def test_many_ids_sort_as_they_were_made_and_like_single_ones_of_their_instant() -> None:
    at = datetime(2025, 10, 20, 15, 6, 0, 123_999, tzinfo=UTC)
    new = RandomIds().many(at)
    made = [new() for _ in range(20_000)]
    assert made == sorted(made)
    assert len({it.int & (1 << 62) - 1 for it in made}) == 20_000, "each has its own chance"
    assert {(it.version, it.variant) for it in made} == {(7, "specified in RFC 4122")}
    single = RandomIds().new(at)
    assert single.int >> 64 == made[0].int >> 64
    assert (made[-1].int >> 80) - (made[0].int >> 80) <= 6, "and not far from their instant"
