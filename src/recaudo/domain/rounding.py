"""Rounding exact amounts to minor units the way an account chose (Treli spec 8 and 18, Colombia spec 6.1).

An amount that is not final yet is a ratio of two integers, so nothing depends on the precision of a decimal context
and nothing is rounded twice.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from recaudo.domain.money import DECIMALS


class RoundingMode(StrEnum):
    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    DOWN = "down"


class Rounding(msgspec.Struct, frozen=True):
    """How many decimals of a unit are kept, never more than the currency has; None keeps those of the currency."""

    decimals: int | None = None
    mode: RoundingMode = RoundingMode.HALF_UP

    def step_minor(self, currency: str) -> int:
        """The amount whose multiples are kept: 1 for cents, 100 for whole pesos."""
        kept = DECIMALS[currency] if self.decimals is None else self.decimals
        return 10 ** max(0, DECIMALS[currency] - kept)


TO_THE_CURRENCY: Final = Rounding()
"""What no setting changes: derived unit prices and discounts by percent."""

TAX_ROUNDING: Final = Rounding(decimals=2)
"""The default of the account setting `tax_rounding`."""

RETENTION_ROUNDING: Final = Rounding(decimals=0)
"""The default of the account setting `retention_rounding`: whole units."""


def round_minor(numerator_minor: int, denominator: int = 1, *, currency: str, rounding: Rounding) -> int:
    """Minor units of the ratio, which is at least zero, as a multiple of the rounding's step."""
    assert numerator_minor >= 0, "signs are added after rounding, never before"
    assert denominator > 0
    step_minor = rounding.step_minor(currency)
    return step_minor * _quotient(numerator_minor, denominator * step_minor, rounding.mode)


def percent_minor(base_minor: int, percentage: Decimal, *, currency: str, rounding: Rounding) -> int:
    """`percentage` percent of `base_minor`, rounded once. A rate per thousand is a tenth of its number in percent."""
    assert 0 <= percentage <= 100, "a percentage lies between 0 and 100"
    numerator, denominator = percentage.as_integer_ratio()
    return round_minor(base_minor * numerator, 100 * denominator, currency=currency, rounding=rounding)


def _quotient(numerator: int, denominator: int, mode: RoundingMode) -> int:
    whole, rest = divmod(numerator, denominator)
    match mode:
        case RoundingMode.HALF_UP:
            up = 2 * rest >= denominator
        case RoundingMode.HALF_EVEN:
            up = 2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1)
        case RoundingMode.DOWN:
            up = False
    return whole + up
