"""How much metadata an invoice may carry, whichever way it comes in (OnePay spec, section 5)."""

from typing import Final

MEMBERS_MAX: Final = 50
NAME_CHARS_MAX: Final = 40
TEXT_CHARS_MAX: Final = 500
