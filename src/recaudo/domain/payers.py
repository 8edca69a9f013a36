"""What payers may be asked before a method begins: the words for it, and which documents there are."""

import re
from collections.abc import Mapping
from typing import Final, Literal

Detail = Literal["person_type", "bank", "document_type", "document_number", "name", "email", "phone", "terms"]
DocumentType = Literal["CC", "CE", "NIT", "PP", "TI"]

# Numbers as people write them, once dots and spaces are gone (colombia.md 3.1). A NIT may end in its check digit.
DOCUMENTS: Final[Mapping[DocumentType, re.Pattern[str]]] = {
    "CC": re.compile(r"[0-9]{3,10}"),
    "CE": re.compile(r"[0-9A-Za-z]{3,10}"),
    "NIT": re.compile(r"[0-9]{6,15}(?:-[0-9])?"),
    "PP": re.compile(r"[0-9A-Za-z]{3,20}"),
    "TI": re.compile(r"[0-9A-Za-z]{3,20}"),
}
