"""Which texts are telephone numbers, mailboxes, addresses of web pages and countries, in every dialect."""

import re
from functools import cache, lru_cache

import phonenumbers
from babel import Locale

# The library takes 20 microseconds for a number; callers send the same numbers every month.
PHONES_REMEMBERED_MAX = 32_768
EMAIL_CHARS_MAX = 254
EMAIL_LOCAL_CHARS_MAX = 64
URL_CHARS_MAX = 2048

# The library's word for numbers of no country.
UNKNOWN_REGION = "ZZ"

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SANDBOX_PHONE = re.compile(r"\+573991111111|\+573992222222|\+999[0-9]{7,12}")

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
# RFC 5321 also knows quoted local parts ("a b"@example.com) and address literals (a@[192.0.2.1]). Nobody's mailbox is
# named so, many mail servers refuse them, and so do we. A top level domain is never a number: that is an address.
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?![0-9]+\Z){_LABEL}")
_MAILBOX = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@(.+)", re.DOTALL)

# A host is a name or a bracketed IPv6 address; letters of any script, as they stand in a browser's address bar.
_URL = re.compile(
    r"https?://(?:[^\s/?#@\\]*@)?(?:[\w-]+(?:\.[\w-]+)*\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:[/?#]\S*)?",
    re.IGNORECASE,
)


@lru_cache(maxsize=PHONES_REMEMBERED_MAX)
def is_phone(text: str) -> bool:
    """Whether this is E.164, character by character, and valid in the numbering plan of its country."""
    if not _E164.fullmatch(text):
        return False
    if text.startswith("+573") and _colombian_mobile().fullmatch(text, 3):
        return True
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return False
    # Parsing forgives a trunk prefix within the number, which E.164 does not have.
    return phonenumbers.is_valid_number(number) and _e164(number) == text


def is_sandbox_phone(text: str) -> bool:
    """Whether this is one of the invented numbers that test accounts accept. Nothing is ever sent to them."""
    return _SANDBOX_PHONE.fullmatch(text) is not None


def region_of(calling_code: str) -> str | None:
    """The main country of a calling code such as 57; None for a code that no country has."""
    region: str = phonenumbers.region_code_for_country_code(int(calling_code))
    return region if is_country(region) else None


def calling_code_of(region: str) -> str | None:
    """The calling code of a country; None for one without telephones."""
    code: int = phonenumbers.country_code_for_region(region)
    return str(code) if code else None


@lru_cache(maxsize=PHONES_REMEMBERED_MAX)
def split_phone(e164: str) -> tuple[str, str, str]:
    """A number's country, its calling code and the digits that are dialled within it.

    The country is UNKNOWN_REGION for the invented numbers of a code that no country has.
    """
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return UNKNOWN_REGION, e164[1:4], e164[4:]
    code = str(number.country_code)
    region = phonenumbers.region_code_for_number(number) or region_of(code) or UNKNOWN_REGION
    return region, code, e164[1 + len(code) :]


def read_email(text: str) -> str | None:
    """The mailbox with its domain in lower case; None when it is not one mailbox with a dot in its domain."""
    if len(text) > EMAIL_CHARS_MAX:
        return None
    parts = _MAILBOX.fullmatch(text)
    if parts is None or parts.end(1) > EMAIL_LOCAL_CHARS_MAX:
        return None
    domain = parts[2].lower()
    if not _DOMAIN.fullmatch(domain) and not _is_international_domain(domain):
        return None
    return f"{parts[1]}@{domain}"


def is_url(text: str) -> bool:
    """Whether this is an http or https address with a host, at most URL_CHARS_MAX characters."""
    return len(text) <= URL_CHARS_MAX and _URL.fullmatch(text) is not None


def is_country(text: str) -> bool:
    """Whether this is a country's two capital letters (ISO 3166-1 alpha-2)."""
    return text in _countries()


@cache
def _countries() -> frozenset[str]:
    """CLDR's two-letter territories but those that are not in ISO 3166-1: groups, dependent islands, test codes."""
    others = ["AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "XK", "ZZ"]
    codes = (str(code) for code in Locale("en").territories)
    return frozenset(code for code in codes if len(code) == 2).difference(others)


@cache
def _colombian_mobile() -> re.Pattern[str]:
    """The library's own pattern of the numbers most callers send: a twentieth of the time of the whole check."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region("CO")
    assert metadata is not None
    assert metadata.mobile is not None
    return re.compile(metadata.mobile.national_number_pattern or "(?!)")


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _is_international_domain(domain: str) -> bool:
    """Whether a domain with letters beyond ASCII, all of them visible, has an ASCII form (IDNA) of as many labels."""
    if domain.isascii() or not domain.isprintable():
        return False
    try:
        ascii_form = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return False
    # IDNA reads other full stops as dots too; those of the mailbox must be real ones.
    return _DOMAIN.fullmatch(ascii_form) is not None and ascii_form.count(".") == domain.count(".")
