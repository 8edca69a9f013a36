"""What our own document says about files of invoices."""

from collections.abc import Mapping

from recaudo.dialects.recaudo.imports import MEDIA_TYPES, NAME_CHARS, ORIGIN_CHARS_MAX
from recaudo.dialects.recaudo.openapi_schemas import FLAG, INSTANT, OBJECT, TEXT, UUID, WHOLE
from recaudo.edge.openapi import Content, Example, Json, OperationDocs, member, nullable, record, ref
from recaudo.usecases.import_options import DATES, ENCODINGS, NUMBERS, ORIGIN_DEFAULT
from recaudo.usecases.imports import KEPT_FOR, REFUSED_MAX, ROWS_MAX, UNFINISHED_MAX

TAGS: Mapping[str, tuple[str, str]] = {"imports": ("Imports", "Whole files of invoices: CSV, JSONL, XLSX.")}

IMPORT_ID = "019a0310-2c40-7d18-a5b6-7c8d9e0f1a2b"
PATH_PARAMETERS: Mapping[str, tuple[str, str]] = {"import_id": ("The import.", IMPORT_ID)}

_OPTIONS: Json = {
    "format": "csv",
    "dates": "dmy",
    "numbers": "auto",
    "encoding": "auto",
    "origin": "import",
    "name": None,
    "make_ids": False,
}
QUEUED: Json = {
    "id": IMPORT_ID,
    "state": "queued",
    "dry_run": False,
    "options": _OPTIONS,
    "bytes": 2481920,
    "rows": {"read": 0, "created": 0, "already_there": 0, "refused": 0},
    "refused_url": None,
    "ignored_columns": [],
    "problem": None,
    "created_at": "2025-10-20T15:06:00.000000Z",
    "finished_at": None,
}
DONE: Json = QUEUED | {
    "state": "done",
    "rows": {"read": 15000, "created": 14988, "already_there": 9, "refused": 3},
    "refused_url": f"https://recaudo.example.com/recaudo/v1/imports/{IMPORT_ID}/refused",
    "ignored_columns": ["Zona"],
    "finished_at": "2025-10-20T15:06:04.310000Z",
}
FAILED: Json = QUEUED | {
    "state": "failed",
    "problem": "The first row must name the columns; amount is missing. It has: factura, contrato, mont. "
    "Did you mean 'monto'?",
    "finished_at": "2025-10-20T15:06:01.120000Z",
}
FILE = (
    "factura;contrato;valor;concepto;celular;vencimiento\r\n"
    "FV-1001;1060500333;85000;Plan Internet - Octubre;3167591030;31/10/2025\r\n"
)
REFUSED_FILE = (
    "factura;contrato;valor;concepto;celular;vencimiento;line;errors\r\n"
    "FV-1002;1060500334;85.000;Plan Internet - Octubre;3167591031;31/10/2025;3;\"valor: '85.000' can be read in two "
    'ways. Say how amounts are written: es for 85.000,50, en for 85,000.50."\r\n'
)

SCHEMAS: Mapping[str, Json] = {
    "Import": record(
        "Import",
        {
            "id": member(UUID, "The import."),
            "state": member(
                TEXT,
                "`queued`, `running`, then `done`, or `failed` where the file could not be read to its end.",
                enum=["queued", "running", "done", "failed"],
            ),
            "dry_run": member(FLAG, "Whether nothing is written."),
            "options": member(OBJECT, "How the file is read."),
            "bytes": member(WHOLE, "How large it is."),
            "rows": member(
                record(
                    "Rows of an import",
                    {
                        "read": member(WHOLE, "So far; all others add up to it."),
                        "created": member(WHOLE, "New invoices; in a dry run those that would be."),
                        "already_there": member(WHOLE, "The same invoice was there before."),
                        "refused": member(WHOLE, "See `refused_url`."),
                    },
                ),
                "What became of its rows.",
            ),
            "refused_url": nullable(member(TEXT, "Where the refused rows are; null while there are none.")),
            "ignored_columns": member({"type": "array", "items": TEXT}, "Columns that nothing here is called."),
            "problem": nullable(member(TEXT, "Of one that failed: why. What is counted was dealt with.")),
            "created_at": member(INSTANT, "When it arrived."),
            "finished_at": nullable(member(INSTANT, "When it was over.")),
        },
    )
}

_FILE_SCHEMA: Json = {"type": "string", "format": "binary"}


def _parameter(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _choice(name: str, description: str, words: tuple[str, ...]) -> Json:
    return _parameter(name, description, {"type": "string", "enum": list(words), "default": words[0]})


_QUERY = (
    _choice("dates", "`iso`: 2025-10-31. `dmy`: also 31/10/2025.", DATES),
    _choice("numbers", "`es`: 85.000,50. `en`: 85,000.50. `auto`: only what has one meaning.", NUMBERS),
    _choice("encoding", "Of a CSV file; its `charset` in the Content-Type counts too.", ENCODINGS),
    _parameter(
        "origin",
        "The system that numbered the invoices, for rows without a column `origin`.",
        {"type": "string", "minLength": 1, "maxLength": ORIGIN_CHARS_MAX, "default": ORIGIN_DEFAULT},
    ),
    _parameter(
        "name",
        "What payers read, for rows that do not say it.",
        {"type": "string", "minLength": NAME_CHARS[0], "maxLength": NAME_CHARS[1]},
    ),
    _parameter("make_ids", "Rows without an id get one made from their content.", {**FLAG, "default": False}),
    _parameter("dry_run", "Check every row and write nothing.", {**FLAG, "default": False}),
)

OPERATIONS: Mapping[str, OperationDocs] = {
    "startImport": OperationDocs(
        description="The body is the file itself; it is kept as it arrives, and answered once all of it is here. The "
        "worker then loads it row by row: good rows become invoices as `POST /invoices` makes them, with the same "
        "events; others are refused with every reason. Sending the file again changes nothing: an invoice is known by "
        "`external_id` and `origin`, and one that differs is refused, never changed.\n\n"
        f"An account may have {UNFINISHED_MAX} imports that are not over. A file may have {ROWS_MAX:,} rows, of which "
        f"{REFUSED_MAX:,} may be refused.",
        status=202,
        success="The import, which waits for the worker.",
        answer=Content(ref("Import"), {"example": Example("It waits", QUEUED)}),
        body=Content(_FILE_SCHEMA, {"csv": Example("Out of a spreadsheet", FILE)}, tuple(MEDIA_TYPES)),
        query=_QUERY,
        errors=(
            "invalid_query_import",
            "too_many_imports",
            "upload_given_up",
            "empty_file",
            "idempotency_key_reused",
        ),
        once_example="padron-2025-10",
    ),
    "getImport": OperationDocs(
        description="How far an import is. Its counts grow with each batch that is committed, so they are right at any "
        f"time. {KEPT_FOR.days} days after it is over it is forgotten; its invoices stay.",
        success="The import.",
        answer=Content(
            ref("Import"), {"example": Example("Three rows were refused", DONE), "failed": Example("No column", FAILED)}
        ),
        errors=("not_found_import",),
    ),
    "getRefusedRows": OperationDocs(
        description="The refused rows as a file of the same shape as the one that was sent, with two columns more: "
        "`line`, where the row stood, and `errors`, every reason. Mend the rows and send this file: those two are "
        "passed by.",
        success="The file.",
        answer=Content(
            _FILE_SCHEMA,
            {"example": Example("One row", REFUSED_FILE)},
            tuple(sorted(set(MEDIA_TYPES) - {"application/x-ndjson"})),
        ),
        errors=("not_found_import",),
    ),
}
