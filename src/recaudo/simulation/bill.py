"""What a bill comes to, worked out as a bookkeeper would with a calculator. It knows nothing of the product either.

Amounts are minor units; where something must be rounded, half goes up.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import floor

MINOR_OF_WHOLE = 100


@dataclass(frozen=True)
class Line:
    """So many of something at a price each, before its tax."""

    price: int
    quantity: int = 1
    tax_percent: int = 0

    @property
    def subtotal(self) -> int:
        """Before tax."""
        return self.price * self.quantity

    @property
    def tax(self) -> int:
        """To the cent."""
        return _half_up(Fraction(self.subtotal * self.tax_percent, 100))


@dataclass(frozen=True)
class Retention:
    """What a payer keeps back for the treasury: a share of what is before tax, or of the tax itself."""

    percent: str
    minimum: int = 0  # below it nothing is kept back
    of_tax: bool = False

    def kept_back(self, lines: tuple[Line, ...]) -> int:
        """In whole pesos."""
        bearing = [line for line in lines if line.tax_percent or not self.of_tax]
        if sum(line.subtotal for line in bearing) < self.minimum:
            return 0
        base = sum(line.tax if self.of_tax else line.subtotal for line in bearing)
        return _half_up(Fraction(self.percent) * base / 100 / MINOR_OF_WHOLE) * MINOR_OF_WHOLE


@dataclass(frozen=True)
class Bill:
    """Lines, and what the payer keeps back of them."""

    lines: tuple[Line, ...]
    retentions: tuple[Retention, ...] = ()

    @property
    def total(self) -> int:
        """With tax."""
        return sum(line.subtotal + line.tax for line in self.lines)

    @property
    def withheld(self) -> int:
        """What the payer keeps back."""
        return sum(it.kept_back(self.lines) for it in self.retentions)

    @property
    def asked(self) -> int:
        """What is left to pay."""
        return self.total - self.withheld


def _half_up(number: Fraction) -> int:
    return floor(number + Fraction(1, 2))
