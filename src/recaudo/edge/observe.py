"""What the server tells of itself: one JSON line per request, errors with their trace, metrics.

Nothing secret reaches a log: lines hold routes (never paths with ids in them, queries, headers or bodies), statuses,
times and request ids.
"""

import logging
import os
import sys
from typing import Any

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from structlog.tracebacks import ExceptionDictTransformer

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


def new_request_id() -> str:
    """Unique per request; people quote it to the operator."""
    return os.urandom(10).hex()


class Observer:
    """Logs and counts what happens at the edge."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._log: Any = structlog.get_logger("recaudo.http")
        self._requests = Counter(
            "recaudo_http_requests_total",
            "Requests answered.",
            ("dialect", "method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "recaudo_http_request_seconds",
            "Time from the first byte of a request to its answer.",
            ("dialect", "method", "route"),
            registry=registry,
            buckets=_LATENCY_BUCKETS_S,
        )
        self._children: dict[tuple[str, str, str, int], tuple[Counter, Histogram]] = {}

    def request(self, *, dialect: str, method: str, route: str, status: int, seconds: float, request_id: str) -> None:
        """One request was answered."""
        method = method if method in _METHODS else "OTHER"
        key = (dialect, method, route, status)
        found = self._children.get(key)
        if found is None:
            # Route patterns and statuses are few, so this table stays small.
            found = (
                self._requests.labels(dialect, method, route, str(status)),
                self._seconds.labels(dialect, method, route),
            )
            self._children[key] = found
        counter, histogram = found
        counter.inc()
        histogram.observe(seconds)
        self._log.info(
            "request",
            dialect=dialect,
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 2),
            request_id=request_id,
        )

    def warn(self, what: str, **facts: object) -> None:
        """Something is not as it should be, and the server copes."""
        self._log.warning(what, **facts)

    def fail(self, error: Exception, *, request_id: str) -> None:
        """A fault of the server: told in full, here only."""
        self._log.error("internal_error", request_id=request_id, exc_info=error)


class DeliveryMeter:
    """Counts what comes of telling endpoints."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._tries = Counter(
            "recaudo_webhook_tries_total",
            "Tries to tell an endpoint, by what became of the delivery: delivered, waiting (tried again) or failed.",
            ("state",),
            registry=registry,
        )
        self._seconds = Histogram(
            "recaudo_webhook_try_seconds",
            "Time that endpoints took to answer, or not to.",
            registry=registry,
            buckets=_LATENCY_BUCKETS_S,
        )

        self._failing = Counter(
            "recaudo_webhook_endpoints_failing_total",
            "Endpoints that had no success for an hour of tries, once for each failing period.",
            registry=registry,
        )

    def failing(self) -> None:
        """An endpoint's owner was told that it fails."""
        self._failing.inc()

    def tried(self, state: str, seconds: float) -> None:
        """One try came back."""
        self._tries.labels(state).inc()
        self._seconds.observe(seconds)


def configure_logging(level: str) -> None:
    """JSON lines on standard error, from `level` on. `level` is debug, info, warning or error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Without local variables: they hold keys, phones and e-mails.
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(serializer=_to_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    # The pool tells of every connection that it cannot make again; the embedded database, of a keeper that was killed.
    for name, event in (("asyncpg", "library"), ("recaudo.store.embedded", "embedded_database")):
        logger = logging.getLogger(name)
        logger.handlers = [_Standard(event)]
        logger.propagate = False


class _Standard(logging.Handler):
    """What is logged in the standard way, as lines like our own."""

    def __init__(self, event: str) -> None:
        super().__init__(logging.WARNING)
        self._event = event

    def emit(self, record: logging.LogRecord) -> None:
        log: Any = structlog.get_logger(record.name)
        told = log.error if record.levelno >= logging.ERROR else log.warning
        told(self._event, logger=record.name, reason=record.getMessage(), error=_in_short(record))


def _in_short(record: logging.LogRecord) -> str | None:
    """The error without its trace: a database that is away for a minute is told many times."""
    error = record.exc_info[1] if record.exc_info else None
    return None if error is None else f"{type(error).__name__}: {error}"


def _to_json(line: Any, **_: object) -> bytes:  # noqa: ANN401 - anything a line may hold
    return msgspec.json.encode(line, enc_hook=str)
