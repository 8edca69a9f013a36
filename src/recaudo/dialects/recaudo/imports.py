"""Files of invoices: sent as they are, loaded by the worker, watched by whoever sent them."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from recaudo.dialects.recaudo.errors import InvalidQueryError, error_reply
from recaudo.dialects.recaudo.handling import id_of, ok
from recaudo.dialects.recaudo.keys import once_scope, reply
from recaudo.dialects.recaudo.queries import read_query, read_word
from recaudo.dialects.recaudo.render import instant, optional_instant
from recaudo.edge.bodies import canonical
from recaudo.edge.http import Reply
from recaudo.edge.problems import Problem, ProblemKind
from recaudo.edge.routing import ApiRequest, Route
from recaudo.store.imports import ImportJob
from recaudo.usecases import imports
from recaudo.usecases.core import Core, Once
from recaudo.usecases.import_options import DATES, ENCODINGS, NUMBERS, ORIGIN_DEFAULT, Encoding, Format, ReadOptions
from recaudo.usecases.imports import UNFINISHED_MAX, EmptyFileError, GivenUpError, NewImport, TooManyImportsError

MEDIA_TYPES: Mapping[str, Format] = {
    "text/csv": "csv",
    "application/jsonl": "jsonl",
    "application/x-ndjson": "jsonl",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
CHARSETS: Mapping[str, Encoding] = {"utf-8": "utf-8", "windows-1252": "windows-1252", "iso-8859-1": "windows-1252"}
PARAMETERS = ("dates", "numbers", "encoding", "origin", "name", "make_ids", "dry_run")
ORIGIN_CHARS_MAX = 50
# Unless the operator says otherwise.
IMPORT_BYTES_MAX = 1024**3
NAME_CHARS = (5, 100)

TOO_MANY = f"The account has {UNFINISHED_MAX} imports that are not over; wait for one."
EMPTY = "The file is empty."
GIVEN_UP = "The file took too long to arrive; send it again."


class Imports:
    """Operations on files of invoices."""

    def __init__(self, core: Core, *, bytes_max: int) -> None:
        self._core = core
        self._bytes_max = bytes_max

    async def start(self, request: ApiRequest) -> Reply:
        """POST /imports: the body is the file; answered once all of it is kept."""
        assert request.stream is not None, "the route takes a stream"
        command = parse_import(request.stream.content_type, request.query)

        def once(digest: str) -> Once:
            asked = {**msgspec.to_builtins(command), "sha256": digest}
            return Once(scope=once_scope(request), key=request.once_key or "", request=canonical(asked))

        def respond(job: ImportJob) -> tuple[int, bytes]:
            return 202, msgspec.json.encode(render_import(job, request.base_url))

        done = await imports.receive(
            self._core,
            request.account,
            command,
            request.stream,
            respond,
            once=once if request.once_key is not None else None,
        )
        return reply(done)

    async def get(self, request: ApiRequest) -> Reply:
        """GET /imports/{id}: how far it is."""
        return ok(render_import(await imports.find(self._core, request.account, id_of(request)), request.base_url))

    async def refused(self, request: ApiRequest) -> Reply:
        """GET /imports/{id}/refused: a file of the same shape."""
        job = await imports.find(self._core, request.account, id_of(request))
        format_ = imports.options_of(job).format
        return Reply(
            status=200,
            pieces=imports.report(self._core, job),
            content_type=self._core.files.media_type(format_),
            headers=[("Content-Disposition", f'attachment; filename="refused-{job.id}.{format_}"')],
        )

    def routes(self) -> Sequence[Route]:
        """The routes of these operations."""
        return (
            Route(
                method="POST",
                path="/imports",
                handler=self.start,
                operation_id="startImport",
                summary="Load a file of invoices",
                tag="imports",
                body="stream",
                once="optional",
                body_bytes_max=self._bytes_max,
            ),
            Route(
                method="GET",
                path="/imports/{import_id}",
                handler=self.get,
                operation_id="getImport",
                summary="Watch an import",
                tag="imports",
            ),
            Route(
                method="GET",
                path="/imports/{import_id}/refused",
                handler=self.refused,
                operation_id="getRefusedRows",
                summary="Download the refused rows",
                tag="imports",
            ),
        )


def answer(error: Exception) -> Reply | None:
    """The answer to an error about a file."""
    match error:
        case TooManyImportsError():
            return error_reply(409, "too_many_imports", TOO_MANY)
        case EmptyFileError():
            return error_reply(422, "empty_file", EMPTY)
        case GivenUpError():
            return error_reply(409, "upload_given_up", GIVEN_UP)
        case _:
            return None


def parse_import(content_type: str, query: Sequence[tuple[str, str]]) -> NewImport:
    """What a file is, and how it is to be read. Raises InvalidQueryError, and Problem UNSUPPORTED_MEDIA_TYPE."""
    media, *parameters = (part.strip() for part in content_type.split(";"))
    format_ = MEDIA_TYPES.get(media.lower())
    if format_ is None:
        raise Problem(ProblemKind.UNSUPPORTED_MEDIA_TYPE, about=", ".join(MEDIA_TYPES))
    values = read_query(query, PARAMETERS)
    options = ReadOptions(
        format=format_,
        dates=cast("Any", read_word(values, "dates", DATES)) or "iso",
        numbers=cast("Any", read_word(values, "numbers", NUMBERS)) or "auto",
        encoding=cast("Any", read_word(values, "encoding", ENCODINGS)) or _charset(parameters),
        origin=_text(values, "origin", 1, ORIGIN_CHARS_MAX) or ORIGIN_DEFAULT,
        name=_text(values, "name", *NAME_CHARS),
        make_ids=read_word(values, "make_ids", ("true", "false")) == "true",
    )
    return NewImport(options=options, dry_run=read_word(values, "dry_run", ("true", "false")) == "true")


def _charset(parameters: Sequence[str]) -> Encoding:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return CHARSETS.get(value.strip().strip('"').lower(), "auto")
    return "auto"


def _text(values: Mapping[str, str], name: str, low: int, high: int) -> str | None:
    text = values.get(name)
    if text is None:
        return None
    trimmed = text.strip()
    if not low <= len(trimmed) <= high or not trimmed.isprintable():
        raise InvalidQueryError(name, f"Must be text of {low} to {high} characters.")
    return trimmed


def render_import(job: ImportJob, base_url: str) -> dict[str, Any]:
    """An import on the wire."""
    refused_url = f"{base_url}/recaudo/v1/imports/{job.id}/refused"
    return {
        "id": str(job.id),
        "state": job.state,
        "dry_run": job.dry_run,
        "options": job.options,
        "bytes": job.bytes,
        "rows": {
            "read": job.read,
            "created": job.created,
            "already_there": job.already_there,
            "refused": job.refused,
        },
        "refused_url": refused_url if job.refused else None,
        "ignored_columns": job.ignored,
        "problem": job.problem,
        "created_at": instant(job.created_at),
        "finished_at": optional_instant(job.finished_at),
    }
