"""Which part of a balance a payer may pay (OnePay specification, section 9.2). Amounts are minor units."""

import msgspec

PARTS_MAX = 20


class PartialRule(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of paying in parts: `max_minor` None means the balance, `window_hours` counts from the first part."""

    min_minor: int
    max_minor: int | None = None
    parts_max: int = PARTS_MAX
    window_hours: int | None = None


class Allowed(msgspec.Struct, frozen=True):
    """The amounts that may be paid now: the whole balance, or a part in `low_minor..high_minor`, or both."""

    balance_minor: int
    whole: bool
    low_minor: int | None = None
    high_minor: int | None = None

    def __contains__(self, amount_minor: int) -> bool:
        if self.whole and amount_minor == self.balance_minor:
            return True
        if self.low_minor is None or self.high_minor is None:
            return False
        return self.low_minor <= amount_minor <= self.high_minor


def allowed_parts(rule: PartialRule | None, *, balance_minor: int, parts_paid: int) -> Allowed:
    """The amounts allowed for the next payment of a collection.

    No part may leave a rest above zero and below the minimum, and the last allowed part closes the balance.
    """
    whole_only = Allowed(balance_minor, whole=True)
    if rule is None or rule.parts_max - parts_paid <= 1:
        return whole_only
    ceiling = balance_minor if rule.max_minor is None else rule.max_minor
    leaves_enough = balance_minor - rule.min_minor
    if balance_minor <= ceiling:
        if leaves_enough < rule.min_minor:
            return whole_only
        return Allowed(balance_minor, whole=True, low_minor=rule.min_minor, high_minor=leaves_enough)
    if leaves_enough < rule.min_minor:
        return whole_only
    return Allowed(balance_minor, whole=False, low_minor=rule.min_minor, high_minor=min(ceiling, leaves_enough))
