"""Documents inside a body: a PDF in base64 (Treli specification, 9.1)."""

import base64
import binascii
import hashlib
from typing import Any

from recaudo.dialects.treli.reading import Reading

PDF_BYTES_MAX = 5 * 1024 * 1024
BODY_BYTES_MAX = 8 * 1024 * 1024
"""Of a body that may hold one (1.4)."""
NAME = "invoice_pdf_base64"
_MAGIC = b"%PDF-"
_DATA_URI = "data:application/pdf;base64,"


def pdf(reading: Reading, path: str, value: object) -> bytes | None:
    """The bytes of a PDF."""
    if not isinstance(value, str):
        reading.refuse(path, "El valor debe ser texto.")
        return None
    try:
        content = base64.b64decode("".join(value.removeprefix(_DATA_URI).split()), validate=True)
    except (binascii.Error, ValueError):
        reading.refuse(path, "El valor debe ser un PDF en base64.")
        return None
    if not content.startswith(_MAGIC):
        reading.refuse(path, "El contenido no es un PDF.")
    elif len(content) > PDF_BYTES_MAX:
        reading.refuse(path, f"El PDF no puede superar {PDF_BYTES_MAX // (1024 * 1024)} MiB.")
    else:
        return content
    return None


def digested(body: dict[str, Any]) -> dict[str, Any]:
    """A body as it is kept with its idempotency key: a document by its digest, not by megabytes."""
    sent = body.get(NAME)
    if not isinstance(sent, str):
        return body
    return {**body, NAME: f"sha256:{hashlib.sha256(sent.encode('utf-8', 'surrogatepass')).hexdigest()}"}
