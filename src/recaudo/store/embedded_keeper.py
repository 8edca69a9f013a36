"""The process that owns the embedded PostgreSQL: makes its files, starts it, stops it when nobody needs it.

It runs as a plain script with the standard library only, so that it starts fast and stays small. One keeper
serves one home folder and outlives the process that started it. What it must know about the world it asks the
kernel, through `flock` on files in `<home>/postgres`, because a lock vanishes with its holder even after a
SIGKILL or a power cut:

    users.lock   shared: held by every process that uses the server
    start.lock   exclusive: held by whoever starts or stops it; a starting keeper inherits it from its opener
    keeper.lock  exclusive: held by the keeper for its whole life
    server.lock  exclusive: inherited by postgres and all of its children, so free only when the last has gone

Order of taking: start, users, keeper, server. A pid file is never proof of life, only a hint whom to signal.
"""

import ctypes
import hashlib
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from functools import partial
from pathlib import Path

MAJOR_VERSION = "18"
SYSTEM_USER = "recaudo-postgres"
PORT = 5432  # Only names the socket file: nothing listens on TCP.

LINGER_S = 1.0  # How long an unused server stays, so that commands in a row do not each start and stop it.
POLL_S = 0.2
START_TIMEOUT_S = 60.0  # Without any sign of progress in the log.
RECOVERY_TIMEOUT_S = 600.0  # However much progress the log shows.
RAPID_END_S = 60.0  # A server that ends sooner than this after its start counts as a failing one.
RAPID_ENDS_MAX = 5  # So many in a row are started again at once; the next ones wait, twice as long each time.
PAUSE_S_MAX = 15.0

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "max_connections": "200",
    "shared_buffers": "128MB",
    "jit": "off",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "max_wal_size": "2GB",
    # Not the usual minute: until autovacuum has first looked, plans are made for empty tables, and in a first load
    # lists cost more with each invoice (0.4 to 0.9 ms of PostgreSQL's time within 3,000, and 0.3 afterwards).
    # Creations fare alike either way. Its other settings do not matter: a table counts as changed at 50 rows.
    # An idle server spends about 0.1 s of processor time a minute in all, in place of 0.05.
    "autovacuum_naptime": "10s",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_checkpoints": "off",
}

# The C.UTF-8 that PostgreSQL itself brings, so that no upgrade of the system can change an index's order.
INITDB_OPTIONS = (
    "--username=postgres",
    "--auth=trust",  # The socket's folder is private.
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)

SOCKET_PATH_LIMIT_BYTES = 107

_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2

Report = Callable[[str, str], None]


class KeeperError(Exception):
    """The server cannot run; the text says why and what to do."""


class Layout:
    """Where everything lives under one home folder, which must be an absolute path without symbolic links."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = home / "postgres.log"
        self.base = home / "postgres"
        self.data = self.base / "data"
        self.users_lock = self.base / "users.lock"
        self.start_lock = self.base / "start.lock"
        self.keeper_lock = self.base / "keeper.lock"
        self.server_lock = self.base / "server.lock"
        self.socket_dir = self._socket_dir(self.base / "run")

    def _socket_dir(self, near: Path) -> Path:
        """The folder of the Unix socket: in the home, or a short one where the kernel's limit forbids that.

        Always /tmp and never $TMPDIR: processes with different environments must agree on it. A comma
        separates hosts in a connection string, so a path with one cannot be told to clients.
        """
        socket_bytes = os.fsencode(near / f".s.PGSQL.{PORT}")
        if len(socket_bytes) <= SOCKET_PATH_LIMIT_BYTES and b"," not in socket_bytes:
            return near
        mark = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path("/tmp") / f"recaudo-{mark}"  # noqa: S108 (made private and checked by _make_socket_dir)


@dataclass(frozen=True)
class Account:
    """The system account that postgres runs under when the keeper is root, as postgres refuses to be root.

    `capability` lets it pass through folders that are closed to others; None when it needs no such help.
    """

    uid: int
    gid: int
    capability: int | None = None


@dataclass
class Server:
    """A running postmaster: our child, or one left behind by a killed keeper."""

    pid: int
    data: Path
    child: subprocess.Popen[bytes] | None = None
    started: float = field(default_factory=time.monotonic)

    def alive(self) -> bool:
        if self.child is not None:
            return self.child.poll() is None
        return runs_on(self.pid, self.data)

    def ready(self) -> bool:
        """Tell whether it accepts connections: it says so in the eighth line of its pid file."""
        lines = _pid_file_lines(self.data)
        return lines[:1] == [str(self.pid)] and [line.strip() for line in lines[7:8]] == ["ready"]

    def stop(self) -> None:
        """Stop it in the gentlest way that works; none of them loses an acknowledged write."""
        for number, patience_s in ((signal.SIGINT, 120.0), (signal.SIGQUIT, 20.0), (signal.SIGKILL, 20.0)):
            if self.end_by(number, patience_s=patience_s):
                return

    def end_by(self, number: signal.Signals, *, patience_s: float) -> bool:
        """Send a signal and wait for the end; tell whether it came within `patience_s`."""
        deadline = time.monotonic() + patience_s
        if self.alive():
            with suppress(ProcessLookupError):  # It ended by itself in this instant.
                os.kill(self.pid, number)
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def take_lock(path: Path, *, shared: bool = False, wait_s: float = 0.0) -> int | None:
    """Lock a file; return the open descriptor that holds it, or None if others held it all of `wait_s`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            flock(descriptor, (LOCK_SH if shared else LOCK_EX) | LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(0.02)
        except BaseException:
            os.close(descriptor)
            raise
        else:
            return descriptor


def is_locked(path: Path) -> bool:
    """Tell whether some process holds the lock exclusively; nobody does in a folder that was deleted."""
    try:
        descriptor = take_lock(path, shared=True)
    except FileNotFoundError:
        return False
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def running_postmaster(data: Path) -> int | None:
    """Return the pid that the pid file names, only if it truly is a postgres on this data folder."""
    lines = _pid_file_lines(data)
    first = lines[0].strip() if lines else ""
    if not (first.isascii() and first.isdecimal()):
        return None  # Missing, half-written, or the negative pid of a single-user session.
    return int(first) if runs_on(int(first), data) else None


def runs_on(pid: int, data: Path) -> bool:
    """Tell whether a process is a postgres on this data folder; a reused pid or a zombie is not."""
    command = _command_line(pid)
    program = command.partition(" -D ")[0]
    return Path(program).name == "postgres" and f" -D {data} " in command


def clean_environment() -> dict[str, str]:
    """The environment for our child processes: no PG* settings of the caller, and none of its secrets."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C"}


@dataclass
class Keeper:
    """One home's keeper. `report` tells the opener how the start goes, while it still listens."""

    layout: Layout
    bin_dir: Path
    report: Report
    keeper_lock: int
    leaving: bool = False
    rapid_ends: int = 0

    def find_or_start(self) -> Server:
        """Return a server that accepts connections: adopted if one still runs, otherwise a new one.

        The caller holds start.lock. Raises KeeperError or OSError.
        """
        begun = time.monotonic()
        while (lock := take_lock(self.layout.server_lock)) is None:
            pid = running_postmaster(self.layout.data)
            if pid is not None and (orphan := Server(pid, self.layout.data)).ready():
                return orphan
            if time.monotonic() - begun > (START_TIMEOUT_S if pid is None else RECOVERY_TIMEOUT_S):
                raise KeeperError(
                    f"Processes of an earlier PostgreSQL still work on {self.layout.data}: end them first."
                )
            time.sleep(POLL_S)
        try:
            return self._await_ready(self._start(lock))
        finally:
            os.close(lock)  # From now on only postgres holds it.

    def keep(self, server: Server) -> None:
        """Look after the server until nobody needs it; when this returns it has stopped."""
        unused_since: float | None = None
        while True:
            time.sleep(POLL_S)
            if not self._home_is_ours():
                # The home was deleted. A gentle stop would remove files by path that a new server may own.
                server.end_by(signal.SIGKILL, patience_s=20.0)
                return
            if not server.alive():
                if (successor := self._replace(server)) is None:
                    return
                server, unused_since = successor, None
            elif self._in_use():
                unused_since = None
            else:
                unused_since = unused_since or time.monotonic()
                lingered = time.monotonic() - unused_since >= LINGER_S
                if (lingered or self.leaving) and self._stop_if_unused(server):
                    return

    def leave_soon(self, *_signal: object) -> None:
        """Neither linger nor restart any more: what SIGTERM means here, as users must be able to finish."""
        self.leaving = True

    def _start(self, server_lock: int) -> Server:
        layout = self.layout
        if (pid := running_postmaster(layout.data)) is not None:
            raise KeeperError(
                f"A PostgreSQL that Recaudo did not start (pid {pid}) runs on {layout.data}: stop it first."
            )
        account = _choose_account(layout, self.bin_dir, self.report)
        socket_dir = _make_socket_dir(layout, account)
        if not _has_data(layout.data):
            self.report("progress", "creating the database files (only the first time)")
            _make_data(layout, self.bin_dir, account=account, server_lock=server_lock)
        # No process of ours is alive, as server.lock is free: whatever they left behind is stale.
        for stale in (layout.data / "postmaster.pid", *socket_dir.glob(".s.PGSQL.*")):
            stale.unlink(missing_ok=True)
        self.report("progress", "starting PostgreSQL")
        child = _launch(_server_command(layout, self.bin_dir), account, keep_open=server_lock)
        return Server(child.pid, layout.data, child)

    def _await_ready(self, server: Server) -> Server:
        begun = moved = told = time.monotonic()
        size = _size(self.layout.log)
        while not server.ready():
            now = time.monotonic()
            if not server.alive():
                raise KeeperError("PostgreSQL ended while it started. Its log below says why.")
            if _size(self.layout.log) != size:
                size, moved = _size(self.layout.log), now
            if now - moved > START_TIMEOUT_S or now - begun > RECOVERY_TIMEOUT_S:
                server.stop()
                raise KeeperError(
                    f"PostgreSQL did not start in {now - begun:.0f} seconds. Is the disk very slow or full?"
                )
            if now - told > 5:
                told = now
                self.report("progress", "PostgreSQL is still starting: it may recover from an unclean stop")
            time.sleep(0.02)
        return server

    def _replace(self, ended: Server) -> Server | None:
        """Start the server again if it ended under its users; None when the keeper should go too.

        One that cannot start is tried again for as long as somebody needs it: a disk that is full has room some day.
        """
        short_lived = time.monotonic() - ended.started < RAPID_END_S
        self.rapid_ends = self.rapid_ends + 1 if short_lived else 0
        while self._wait_before_start():
            start_lock = take_lock(self.layout.start_lock, wait_s=START_TIMEOUT_S)
            if start_lock is None:
                return None  # An opener is stuck; the next one will find no keeper and start one.
            try:
                if not self._is_needed():
                    return None
                _say("PostgreSQL ended while it was in use: starting it again")
                return self.find_or_start()
            except (KeeperError, OSError) as error:
                _say(f"PostgreSQL could not be started again, and will be tried once more: {error}")
                self.rapid_ends = max(self.rapid_ends, RAPID_ENDS_MAX) + 1
            finally:
                os.close(start_lock)
        return None

    def _wait_before_start(self) -> bool:
        """Wait the longer the more starts have failed in a row; tell whether the server is still needed then."""
        pause_s = min(2.0 ** (self.rapid_ends - RAPID_ENDS_MAX - 1), PAUSE_S_MAX)
        deadline = time.monotonic() + (pause_s if self.rapid_ends > RAPID_ENDS_MAX else 0.0)
        while (needed := self._is_needed()) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return needed

    def _is_needed(self) -> bool:
        return not self.leaving and self._home_is_ours() and self._in_use()

    def _stop_if_unused(self, server: Server) -> bool:
        start_lock = take_lock(self.layout.start_lock)
        if start_lock is None:
            return False  # Somebody is arriving.
        try:
            if self._in_use():
                return False
            server.stop()
            if self.layout.socket_dir.parent != self.layout.base:
                shutil.rmtree(self.layout.socket_dir, ignore_errors=True)
            # Free before start.lock is: whoever takes that next must see that there is no keeper.
            os.close(self.keeper_lock)
            return True
        finally:
            os.close(start_lock)

    def _in_use(self) -> bool:
        descriptor = take_lock(self.layout.users_lock)
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def _home_is_ours(self) -> bool:
        try:
            return self.layout.keeper_lock.stat().st_ino == os.fstat(self.keeper_lock).st_ino
        except FileNotFoundError:
            return False


def _server_command(layout: Layout, bin_dir: Path) -> list[str]:
    quoted = str(layout.socket_dir).replace('"', '""')
    settings = SETTINGS | {"unix_socket_directories": f'"{quoted}"'}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [str(bin_dir / "postgres"), "-D", str(layout.data), *options]


def _has_data(data: Path) -> bool:
    """Tell whether the data folder is filled; raises KeeperError if it is not one that we can run on."""
    if not data.exists() or not any(data.iterdir()):
        return False
    try:
        version = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise KeeperError(
            f"{data} is not empty, yet holds no PostgreSQL database: move it away, then try again."
        ) from None
    if version != MAJOR_VERSION:
        raise KeeperError(
            f"{data} was made by PostgreSQL {version}, and this Recaudo brings PostgreSQL {MAJOR_VERSION}. "
            f"Dump it with the Recaudo that made it and load it into a new RECAUDO_HOME, "
            f"or set RECAUDO_DATABASE_URL to a server of your own."
        )
    return True


def _make_data(layout: Layout, bin_dir: Path, *, account: Account | None, server_lock: int) -> None:
    """Make the data folder beside its place and move it there when complete: none is ever used half-made."""
    for leftover in layout.base.glob("init-*"):
        shutil.rmtree(leftover)
    staging = Path(tempfile.mkdtemp(prefix="init-", dir=layout.base))
    if account is not None:
        os.chown(staging, account.uid, account.gid)
    command = [str(bin_dir / "initdb"), "-D", str(staging), *INITDB_OPTIONS]
    # It inherits server.lock too: should the keeper be killed now, the next one waits for the orphan to end.
    process = _launch(command, account, keep_open=server_lock)
    try:
        process.wait(RECOVERY_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise KeeperError(
            f"Creating the database files took over {RECOVERY_TIMEOUT_S:.0f} seconds: is the disk very slow?"
        ) from None
    if process.returncode != 0:
        shutil.rmtree(staging)
        raise KeeperError(f"Creating the database files in {layout.base} failed. The log below says why.")
    staging.rename(layout.data)
    _sync_folder(layout.base)


def _launch(command: Sequence[str], account: Account | None, *, keep_open: int) -> subprocess.Popen[bytes]:
    """Start a program of PostgreSQL under the account; it writes to our log."""
    return subprocess.Popen(  # noqa: S603 (our own programs)
        command,
        stdin=subprocess.DEVNULL,
        env=clean_environment(),
        cwd="/",
        pass_fds=(keep_open,),
        # Safe here, as the keeper has one thread.
        preexec_fn=None if account is None else lambda: _become(account),  # noqa: PLW1509
    )


def _choose_account(layout: Layout, bin_dir: Path, report: Report) -> Account | None:
    """Decide whom postgres runs as: ourselves; or when we are root, the data's owner or our system user."""
    owner = layout.data.stat() if layout.data.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise KeeperError(
                f"{layout.data} belongs to {_name(owner.st_uid)}: run as that user, or change RECAUDO_HOME."
            )
        return None
    if owner is not None and owner.st_uid != 0:
        account = Account(owner.st_uid, owner.st_gid)
    else:
        entry = _system_user(report)
        account = Account(entry.pw_uid, entry.pw_gid)
        if owner is not None:
            _give(layout.data, account)
    return _least_capable(account, layout, bin_dir=bin_dir)


def _system_user(report: Report) -> pwd.struct_passwd:
    """Return the account for this purpose, made now if missing, or else one that has no rights anyway."""
    paths = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    useradd = shutil.which("useradd", path=paths)
    options = ("--system", "--no-create-home", "--home-dir=/nonexistent", "--shell=/usr/sbin/nologin")
    for attempt in range(10):
        if (entry := _user(SYSTEM_USER)) is not None:
            return entry
        if useradd is None:
            break
        time.sleep(0.3 * min(attempt, 1))  # Another process may hold the lock of the user database.
        subprocess.run([useradd, *options, SYSTEM_USER], stdin=subprocess.DEVNULL, check=False)  # noqa: S603
    for name in ("postgres", "nobody"):
        if (entry := _user(name)) is not None:
            note = f"could not add the system user {SYSTEM_USER}: PostgreSQL runs as {name}"
            _say(note)
            report("progress", note)
            return entry
    raise KeeperError(
        f"PostgreSQL refuses to run as root, and no system user {SYSTEM_USER} could be added: add it by hand."
    )


def _least_capable(account: Account, layout: Layout, *, bin_dir: Path) -> Account:
    """Return the account with the smallest privilege that reaches both the program and the data.

    Folders above the home or the program may be closed to others, and we do not open what their owner closed.
    """
    for capability in (None, _CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        candidate = replace(account, capability=capability)
        if _reaches(candidate, layout, bin_dir=bin_dir):
            return candidate
    raise KeeperError(
        f"PostgreSQL refuses to run as root, and {_name(account.uid)}, which runs it instead, cannot reach "
        f"{layout.base} or {bin_dir}, as this system withholds CAP_DAC_OVERRIDE (or CAP_SETUID). "
        f"Run Recaudo as an ordinary user, or open those folders to {_name(account.uid)}."
    )


def _reaches(account: Account, layout: Layout, *, bin_dir: Path) -> bool:
    """Try it for real, in a child: mode bits alone do not tell about access lists, mounts and containers."""

    def enter() -> None:
        _become(account)
        layout.users_lock.stat()
        next((bin_dir.parent / "share").iterdir())
        if not os.access(bin_dir / "postgres", os.X_OK):  # As PostgreSQL's programs ask about each other.
            raise PermissionError

    try:
        subprocess.run(  # noqa: S603 (our own program)
            [bin_dir / "postgres", "--version"],
            preexec_fn=enter,
            env=clean_environment(),
            capture_output=True,
            check=True,
            cwd="/",
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _become(account: Account) -> None:
    """Turn this process (a forked child that is about to exec) from root into the account, for good."""
    set_keep_caps, set_securebits, cap_ambient, ambient_raise = 8, 28, 47, 2
    no_setuid_fixup, capability_version_3 = 1 << 2, 0x20080522
    libc = ctypes.CDLL(None, use_errno=True)

    def call(result: int) -> None:
        if result != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    # Without the fix-up the capability outlives the change of user, and access(2) takes it into account too. Where
    # that is not granted, keeping it will do, unless the folders of the program itself are closed.
    if account.capability is not None and libc.prctl(set_securebits, no_setuid_fixup, 0, 0, 0) != 0:
        call(libc.prctl(set_keep_caps, 1, 0, 0, 0))
    os.setgroups([])
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    if account.capability is not None:
        # Effective, permitted and inheritable; then ambient, which is what survives the exec.
        mask = 1 << account.capability
        header = (ctypes.c_uint32 * 2)(capability_version_3, 0)
        call(libc.capset(header, (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)))
        call(libc.prctl(cap_ambient, ambient_raise, account.capability, 0, 0))


def _make_socket_dir(layout: Layout, account: Account | None) -> Path:
    """Make the private folder of the socket, or check that it is ours: in /tmp anyone may come first."""
    folder, uid = layout.socket_dir, os.geteuid() if account is None else account.uid
    if not folder.is_symlink() and not folder.exists():
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    ours = status.st_uid in (uid, os.geteuid()) or folder.parent == layout.base
    if not ours or not stat.S_ISDIR(status.st_mode):
        raise KeeperError(
            f"The socket folder {folder} is not a folder of ours but belongs to {_name(status.st_uid)}: "
            f"remove it, or set a shorter RECAUDO_HOME."
        )
    if status.st_uid != uid:
        os.chown(folder, uid, -1, follow_symlinks=False)
    if status.st_mode & 0o777 != 0o700:
        folder.chmod(0o700)
    return folder


def _give(folder: Path, account: Account) -> None:
    for path, _, names in os.walk(folder):
        for name in (".", *names):
            os.lchown(Path(path, name), account.uid, account.gid)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _pid_file_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _command_line(pid: int) -> str:
    """Return the command line, arguments each followed by a space; empty if there is no such process."""
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self").exists():
            return ""
    # A system without /proc, such as macOS.
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    result = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    return os.fsdecode(result.stdout).strip() + " "


def _user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _say(text: str) -> None:
    try:
        sys.stderr.write(f"recaudo keeper {os.getpid()}: {text}\n")
        sys.stderr.flush()
    except OSError:
        return  # The disk is full: no reason to leave the server without a keeper.


def _report(descriptor: int, kind: str, text: str) -> None:
    """Tell the opener, one JSON pair per line; or the log, if the opener has gone or heard enough."""
    try:
        os.write(descriptor, (json.dumps([kind, text]) + "\n").encode())
    except BrokenPipeError:
        _say(text)


def _run(layout: Layout, bin_dir: Path, *, report: Report, start_lock: int) -> None:
    keeper_lock = take_lock(layout.keeper_lock, wait_s=2.0)  # An onlooker may hold it for an instant.
    if keeper_lock is None:
        raise KeeperError("Another keeper runs already: try again.")
    keeper = Keeper(layout, bin_dir, report=report, keeper_lock=keeper_lock)
    signal.signal(signal.SIGTERM, keeper.leave_soon)
    server = keeper.find_or_start()
    report("ready", "")
    # Closed, not unlocked: the opener that shares this lock still has work to do under it.
    os.close(start_lock)
    keeper.keep(server)


def main(home: str, bin_dir: str, report_fd: str, start_lock_fd: str) -> int:
    """Keep the server of one home: leave the caller's process tree, return when the server has stopped."""
    if os.fork() != 0:
        os._exit(0)  # The opener waits for this one, so that no zombie is left in a process that runs for long.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # Whatever the thread that started us would not hear.
    report = partial(_report, int(report_fd))
    try:
        _run(Layout(Path(home)), Path(bin_dir), report=report, start_lock=int(start_lock_fd))
    except KeeperError as error:
        report("error", str(error))
        return 1
    except Exception as error:
        report("error", f"The keeper of the embedded database failed: {error!r}")
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
