"""Money as integer minor units of a currency: labels for people, exact conversions, reading what people type.

No float comes near this module. Labels follow the Colombian form of the wire specifications
("$ 50.000", "$ 50.000,50") and are formatted here because locale libraries print other spaces.
"""

import re
from decimal import Decimal, InvalidOperation

DECIMALS = {"COP": 2, "USD": 2, "EUR": 2, "MXN": 2, "PEN": 2, "BRL": 2, "ARS": 2, "UYU": 2, "CLP": 0, "PYG": 0}
"""ISO 4217 decimals of the currencies an account may use."""

SYMBOLS = {"COP": "$"}

# The largest amount the books accept: 10^15 minor units keeps every sum far inside a 64-bit integer.
AMOUNT_MINOR_MAX = 10**15

_TYPED = re.compile(r"(?:\d+|\d{1,3}(?:\.\d{3})+)(?:,\d{1,2})?")


def minor_per_unit(currency: str) -> int:
    """How many minor units make one unit: 100 for COP, 1 for CLP."""
    return 10 ** DECIMALS[currency]


def label(amount_minor: int, currency: str) -> str:
    """Money for people: "$ 50.000", "$ 50.000,50", "-$ 50.000", "CLP 50.000"."""
    per_unit = minor_per_unit(currency)
    units, rest = divmod(abs(amount_minor), per_unit)
    text = f"{units:,}".replace(",", ".")
    if rest:
        text += f",{rest:0{DECIMALS[currency]}d}"
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{SYMBOLS.get(currency, currency)} {text}"


def from_units(amount: int | Decimal, currency: str) -> int:
    """Minor units of a whole or decimal amount of units.

    Raises ValueError when the amount has more decimals than the currency.
    """
    # As integers, because a product of decimals is rounded to the precision of the context.
    numerator, denominator = amount.as_integer_ratio()
    minor, rest = divmod(numerator * minor_per_unit(currency), denominator)
    if rest:
        raise ValueError(f"{amount} has more decimals than {currency}")
    return minor


def to_units(amount_minor: int, currency: str) -> int | Decimal:
    """Units as an integer when they are whole, else as an exact decimal."""
    units, rest = divmod(amount_minor, minor_per_unit(currency))
    return units if not rest else Decimal(amount_minor) / minor_per_unit(currency)


def read_typed(text: str, currency: str = "COP") -> int:
    """Minor units of an amount as a Colombian types it: "50000", "50.000", "$ 50.000,50".

    Raises ValueError for anything ambiguous, such as "50,000" or "50.00".
    """
    bare = text.replace("\u00a0", " ").strip().removeprefix("$").strip()
    if not _TYPED.fullmatch(bare) or len(bare) > 24:
        raise ValueError(f"not an amount: {text!r}")
    try:
        return from_units(Decimal(bare.replace(".", "").replace(",", ".")), currency)
    except InvalidOperation as error:
        raise ValueError(f"not an amount: {text!r}") from error
