"""How a file is to be read, where the file itself does not say."""

from typing import Literal, get_args

import msgspec

Format = Literal["csv", "jsonl", "xlsx"]
Dates = Literal["iso", "dmy"]
Numbers = Literal["auto", "es", "en"]
Encoding = Literal["auto", "utf-8", "windows-1252"]

FORMATS: tuple[str, ...] = get_args(Format)
DATES: tuple[str, ...] = get_args(Dates)
NUMBERS: tuple[str, ...] = get_args(Numbers)
ENCODINGS: tuple[str, ...] = get_args(Encoding)

ORIGIN_DEFAULT = "import"


class ReadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`iso` days are 2025-10-20, `dmy` also 20/10/2025. `es` amounts are 85.000,50 and `en` ones 85,000.50.

    `origin` and `name` stand for what a row leaves empty. With `make_ids` a row without an id of its own gets one made
    from its content.
    """

    format: Format
    dates: Dates = "iso"
    numbers: Numbers = "auto"
    encoding: Encoding = "auto"
    origin: str = ORIGIN_DEFAULT
    name: str | None = None
    make_ids: bool = False
