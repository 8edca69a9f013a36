"""The embedded PostgreSQL with real processes: shared, killed, interrupted, and gone when nobody needs it."""

import contextlib
import ctypes
import logging
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

import asyncpg
import psutil
import pytest

import recaudo
import recaudo.store.embedded as embedded_module
from recaudo.store.embedded import EmbeddedError, EmbeddedHandle, open_embedded
from recaudo.store.embedded_keeper import LINGER_S, Layout, is_locked

ORDINARY_USER = "nobody"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

USER_PROGRAM = """
import sys
from pathlib import Path
from recaudo.store.embedded import EmbeddedError, open_embedded
try:
    handle = open_embedded(Path(sys.argv[1]))
except EmbeddedError as error:
    print("refused:", error, flush=True)
else:
    print(handle.url, flush=True)
    sys.stdin.read()
    handle.close()
"""


class User:
    """A process that holds the server open until it is told to leave."""

    def __init__(self, home: Path, *, python: str = sys.executable, **options) -> None:
        command = [python, "-c", USER_PROGRAM, str(home)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def leave(self) -> None:
        self.process.communicate(timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.process.kill()
        self.process.communicate()


def keepers(home: Path) -> list[psutil.Process]:
    return [process for process, command in commands() if "embedded_keeper.py" in command and f" {home} " in command]


def postmasters(home: Path) -> list[psutil.Process]:
    return [process for process, command in commands() if f"/postgres -D {Layout(home).data} " in command]


def commands() -> Iterator[tuple[psutil.Process, str]]:
    for process in psutil.process_iter(["cmdline"]):
        yield process, " ".join(process.info["cmdline"] or []) + " "


def wait_until(true: Callable[[], object], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def stopped(home: Path) -> bool:
    lock = Layout(home).server_lock
    return not keepers(home) and not postmasters(home) and not (lock.exists() and is_locked(lock))


def sql(handle: EmbeddedHandle, statement: str) -> str:
    command = [handle.bin_dir / "psql", handle.url, "-XqAt", "-c", statement]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


def answers(handle: EmbeddedHandle) -> bool:
    try:
        return sql(handle, "SELECT 1") == "1"
    except subprocess.CalledProcessError:
        return False


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """SIGKILL them and their descendants, all at once."""
    family = set(processes)
    for process in list(family):
        with contextlib.suppress(psutil.NoSuchProcess):
            family.update(process.children(recursive=True))
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    wait_until(lambda: all(is_gone(member) for member in family))


def kill_keeper(home: Path) -> None:
    """It alone: PostgreSQL goes on."""
    (keeper,) = keepers(home)
    keeper.kill()
    wait_until(lambda: keeper not in keepers(home))


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def delete(home: Path) -> None:
    while home.exists():  # Its server may still be writing.
        shutil.rmtree(home, ignore_errors=True)


def capabilities(process: psutil.Process) -> int:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff"))


@pytest.fixture(scope="module")
def opened() -> Iterator[list[Path]]:
    """The homes that tests have opened and left; at the end, the servers of all must have stopped by themselves."""
    homes: list[Path] = []
    yield homes
    try:
        wait_until(lambda: all(stopped(home) for home in homes))
    finally:
        kill_all(process for home in homes for process in [*keepers(home), *postmasters(home)])


@pytest.fixture
def home(tmp_path: Path, opened: list[Path]) -> Path:
    opened.append(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What the module logs in this process."""
    lines: list[str] = []
    handler, logger = logging.Handler(), logging.getLogger(embedded_module.__name__)
    handler.emit = lambda record: lines.append(record.getMessage())
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


async def test_a_new_home_gives_a_database_for_asyncpg_and_psql(home, monkeypatch):
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOST", "elsewhere.invalid")
    heard: list[str] = []

    with open_embedded(home, progress=heard.append) as handle:
        connection = await asyncpg.connect(handle.url)
        try:
            rows = await connection.fetch("SELECT name, setting FROM pg_settings")
            assert await connection.fetchval("SELECT current_database()") == "recaudo"
        finally:
            await connection.close()
        assert sql(handle, "SELECT current_setting('server_version_num')::int / 10000") == "18"
        assert (handle.bin_dir / "pgbench").exists()
        assert "ready to accept connections" in handle.log_path.read_text()

    settings = {row["name"]: row["setting"] for row in rows}
    expected = {"fsync": "on", "synchronous_commit": "on", "jit": "off", "listen_addresses": ""}
    expected |= {"max_connections": "200", "TimeZone": "UTC", "server_encoding": "UTF8", "autovacuum_naptime": "10"}
    assert expected.items() <= settings.items()
    assert len(heard) == 2
    assert "creating the database files" in heard[0]


def test_what_was_written_is_there_after_the_server_stopped_and_started(home):
    with open_embedded(home) as handle:
        sql(handle, "CREATE TABLE kept AS SELECT 42 AS answer")
        handle.close(wait_s=15)
        wait_until(lambda: stopped(home), 2)  # the keeper lets go of its lock just before it ends

    with open_embedded(home) as handle:
        assert sql(handle, "SELECT answer FROM kept") == "42"


def test_two_processes_share_one_server_and_it_stays_when_one_closes(home):
    with User(home) as first, User(home) as second:
        assert first.answer() == second.answer()
        (postmaster,) = postmasters(home)
        first.leave()
        time.sleep(LINGER_S + 0.7)
        assert postmasters(home) == [postmaster]
        assert len(keepers(home)) == 1
        second.leave()


def test_ten_processes_that_open_a_new_home_at_once_get_the_same_server(home):
    users = [User(home) for _ in range(10)]
    try:
        assert len({user.answer() for user in users}) == 1
        assert len(postmasters(home)) == len(keepers(home)) == 1
    finally:
        for user in users:
            user.leave()


def test_a_killed_user_does_not_take_the_server_from_the_others_nor_keep_it_alive(home):
    with User(home) as killed, User(home) as last:
        assert killed.answer() == last.answer()
        killed.process.kill()
        time.sleep(LINGER_S + 0.7)
        assert len(postmasters(home)) == 1
        last.process.kill()
        wait_until(lambda: stopped(home), timeout_s=LINGER_S + 4)


def test_ctrl_c_in_the_terminal_of_the_first_user_leaves_the_server_to_the_others(home):
    with User(home, process_group=0, stderr=subprocess.DEVNULL) as first:
        first.answer()
        with open_embedded(home) as handle:
            os.killpg(first.process.pid, signal.SIGINT)
            first.process.wait(10)
            time.sleep(0.5)
            assert answers(handle)


def test_a_forked_child_keeps_the_server_alive(home):
    handle = open_embedded(home)
    child = subprocess.Popen(["sleep", "60"], pass_fds=[handle._users_lock or 0])
    handle.close()
    time.sleep(LINGER_S + 0.7)
    assert len(postmasters(home)) == 1
    child.kill()
    child.wait()


def test_opening_and_closing_in_a_fast_loop_keeps_one_server(home):
    seen = set()
    for _ in range(8):
        with open_embedded(home) as handle:
            assert answers(handle)
            seen.update(postmasters(home))
    assert len(seen) == 1


def test_a_user_who_arrives_while_the_server_stops_gets_a_new_one(home):
    for stops in (1, 2):
        with open_embedded(home) as handle:
            assert answers(handle)
        wait_until(lambda stops=stops: handle.log_path.read_text().count("fast shutdown request") == stops)


def test_a_killed_keeper_is_replaced_without_disturbing_the_server(home, told):
    with open_embedded(home) as handle:
        (postmaster,) = postmasters(home)
        handle.log_path.unlink()  # An operator who tidies up must not keep the next one from starting.
        kill_keeper(home)
        assert answers(handle)
        wait_until(lambda: keepers(home))
        wait_until(lambda: told)
        assert "another has taken its place" in told[0]
        assert postmasters(home) == [postmaster]
        # The new one does its work.
        kill_all([postmaster])
        wait_until(lambda: answers(handle))


def test_a_server_that_ends_after_its_keeper_is_started_again_under_its_users(home):
    with open_embedded(home) as handle:
        sql(handle, "CREATE TABLE kept AS SELECT 42 AS answer")
        for _ in range(3):
            kill_keeper(home)
            kill_all(postmasters(home))
            wait_until(lambda: answers(handle))
        assert sql(handle, "SELECT answer FROM kept") == "42"
        assert len(keepers(home)) == 1


def test_many_users_who_all_miss_the_keeper_get_one(home):
    users = [User(home) for _ in range(5)]
    try:
        assert len({user.answer() for user in users}) == 1
        with open_embedded(home) as handle:
            for kill in (kill_keeper, lambda home: kill_all([*keepers(home), *postmasters(home)])):
                kill(home)
                wait_until(lambda: answers(handle))
                wait_until(lambda: len(keepers(home)) == 1)
                time.sleep(1.5)  # All of them have looked by now.
                assert len(postmasters(home)) == len(keepers(home)) == 1
    finally:
        for user in users:
            user.leave()


def test_a_server_in_recovery_gets_a_keeper_too(home):
    with open_embedded(home) as handle:
        (postmaster,) = postmasters(home)
        sql(handle, "CREATE TABLE much AS SELECT n, repeat('x', 500) AS text FROM generate_series(1, 100000) AS n")
        backend = postmaster.children()[0]
        keepers(home)[0].kill()
        backend.kill()  # upon which the postmaster ends the others and recovers from the log
        wait_until(lambda: keepers(home))
        wait_until(lambda: answers(handle))
        assert sql(handle, "SELECT count(*) FROM much") == "100000"
        assert postmasters(home) == [postmaster]
        assert "automatic recovery in progress" in handle.log_path.read_text()


def test_a_user_may_leave_at_the_moment_when_the_keeper_is_missed(home):
    for delay_s in (0.0, 0.3, 0.45, 0.5, 0.52, 0.55, 0.6, 0.7):
        with open_embedded(home):
            kill_keeper(home)
            time.sleep(delay_s)
    wait_until(lambda: stopped(home))


def test_a_keeper_that_cannot_be_started_is_told_once_and_tried_ever_more_rarely(home, told):
    with open_embedded(home) as handle:
        configuration = handle.data_dir / "postgresql.conf"
        good = configuration.read_text()
        configuration.write_text(good + "\nno_such_setting = 1\n")
        kill_all([*keepers(home), *postmasters(home)])
        tries = lambda: handle.log_path.read_text().count("no_such_setting")  # noqa: E731
        wait_until(lambda: tries() >= 2)
        seen = tries()
        time.sleep(4)
        assert tries() - seen <= 2
        assert len(told) == 1
        assert "PostgreSQL ended while it started" in told[0]
        configuration.write_text(good)
        wait_until(lambda: answers(handle), timeout_s=30)


def test_a_keeper_that_was_asked_to_end_is_replaced_once_it_has_gone(home):
    with open_embedded(home) as handle:
        kill_keeper(home)
        wait_until(lambda: is_locked(Layout(home).keeper_lock) and not is_locked(Layout(home).start_lock))
        (leaving,) = keepers(home)  # started by a thread that hears no signals, and hears them all the same
        leaving.terminate()
        time.sleep(0.5)
        assert answers(handle)
        kill_all(postmasters(home))
        wait_until(lambda: leaving not in keepers(home))
        wait_until(lambda: answers(handle))


def test_a_server_whose_keeper_was_killed_stops_when_its_last_user_closes(home):
    with open_embedded(home):
        kill_keeper(home)


def test_a_keeper_asked_to_end_lets_the_users_finish(home):
    with open_embedded(home) as handle:
        keepers(home)[0].terminate()
        time.sleep(0.5)
        assert answers(handle)


def test_a_killed_postgres_is_started_again_under_its_users(home):
    with open_embedded(home) as handle:
        sql(handle, "CREATE TABLE kept AS SELECT 42 AS answer")
        for _ in range(2):
            (postmaster,) = postmasters(home)
            postmaster.kill()
            wait_until(lambda killed=postmaster: killed not in postmasters(home))
            wait_until(lambda: answers(handle))
        assert sql(handle, "SELECT answer FROM kept") == "42"


def test_no_new_server_starts_beside_a_surviving_child_of_a_killed_one(home):
    with open_embedded(home) as handle:
        busy = "SELECT sum(n) FROM generate_series(1, 20000000) AS n"
        client = subprocess.Popen([handle.bin_dir / "psql", handle.url, "-XqAt", "-c", busy])
        (postmaster,) = postmasters(home)
        at_work = lambda: [child for child in postmaster.children() if "SELECT" in child.cmdline()[0]]  # noqa: E731
        wait_until(at_work)
        (survivor,) = at_work()
        postmaster.kill()
        wait_until(lambda: postmaster not in postmasters(home))
        assert not is_gone(survivor)

        with User(home) as user:
            assert user.answer() == handle.url
            assert is_gone(survivor)
        client.wait(30)


def test_after_a_power_cut_the_next_user_finds_what_was_acknowledged(home):
    with User(home) as user:
        user.answer()
        with open_embedded(home) as handle:
            sql(handle, "CREATE TABLE kept AS SELECT 42 AS answer")
        kill_all([*keepers(home), *postmasters(home), psutil.Process(user.process.pid)])
    assert (handle.data_dir / "postmaster.pid").exists()

    with open_embedded(home) as handle:
        assert sql(handle, "SELECT answer FROM kept") == "42"
        assert "automatic recovery in progress" in handle.log_path.read_text()


def test_a_stale_pid_file_that_names_an_innocent_process_harms_neither(home):
    with open_embedded(home) as handle:
        handle.close(wait_s=15)
    # As the user of postgres, since that is when postgres by itself would refuse to start.
    owner = handle.data_dir.stat().st_uid
    innocent = subprocess.Popen(["sleep", "60"], user=owner if os.geteuid() == 0 else None)
    run = Layout(home).socket_dir
    stale = f"{innocent.pid}\n{handle.data_dir}\n1700000000\n5432\n{run}\n\n  1 2\nready   \n"
    for path in (handle.data_dir / "postmaster.pid", run / ".s.PGSQL.5432.lock", run / ".s.PGSQL.5432"):
        path.write_text(stale)
        os.chown(path, owner, -1)

    with open_embedded(home) as handle:
        assert answers(handle)
        assert innocent.poll() is None
    innocent.kill()
    innocent.wait()


def test_a_half_written_pid_file_does_not_stop_the_start(home):
    for content in ["", "12", "9999999\n/half/a/fi", "-1\n", "none\n"]:
        with open_embedded(home) as handle:
            assert answers(handle)
        kill_all([*keepers(home), *postmasters(home)])
        (handle.data_dir / "postmaster.pid").write_text(content)
    with open_embedded(home) as handle:
        assert answers(handle)


@pytest.mark.parametrize("initdb_too", [False, True])
def test_an_interrupted_first_start_is_done_over(home, initdb_too):
    base = Layout(home).base
    with User(home) as user:
        wait_until(lambda: list(base.glob("init-*/base")))
        (keeper,) = keepers(home)
        children = keeper.children()
        keeper.kill()
        kill_all(children if initdb_too else [])
        user.process.kill()
    with open_embedded(home) as handle:
        assert answers(handle)
    assert not list(base.glob("init-*"))


def test_a_deleted_home_ends_its_server(home):
    with open_embedded(home) as handle:
        delete(home)
        wait_until(lambda: stopped(home))
        time.sleep(1)
        assert not home.exists()
        handle.close(wait_s=1)


def test_who_had_opened_a_home_that_was_deleted_leaves_the_new_one_alone(home):
    with open_embedded(home):
        delete(home)
        with open_embedded(home):
            pass
        wait_until(lambda: stopped(home))
        time.sleep(1)
        wait_until(lambda: stopped(home), 2)  # the keeper lets go of its lock just before it ends


def test_a_deleted_home_can_be_opened_anew_at_once(home):
    with open_embedded(home):
        delete(home)
        with open_embedded(home) as handle:
            assert answers(handle)
            time.sleep(1)
            assert answers(handle)


@pytest.mark.parametrize("name", ["x" * 60 + "/" + "y" * 60, "with, comma", """sp ace "quotes' ñ%&=?#"""])
def test_any_path_will_do(tmp_path, opened, name):
    home = tmp_path / name / "home"
    opened.append(home)
    with open_embedded(home) as handle:
        assert answers(handle)
        socket_dir = Layout(home).socket_dir
        assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
        assert socket_dir.stat().st_uid == handle.data_dir.stat().st_uid
    wait_until(lambda: stopped(home))
    assert socket_dir.is_relative_to(home) or not socket_dir.exists()


@as_root
def test_a_socket_folder_that_somebody_else_made_is_refused(tmp_path):
    home = tmp_path / ("x" * 100)
    squatted = Layout(home).socket_dir
    squatted.mkdir()
    os.chown(squatted, pwd.getpwnam(ORDINARY_USER).pw_uid, -1)
    try:
        with pytest.raises(EmbeddedError, match="set a shorter RECAUDO_HOME"):
            open_embedded(home)
    finally:
        squatted.rmdir()


def test_data_of_another_major_version_is_refused_with_advice(home):
    with open_embedded(home) as handle:
        pass
    kill_all([*keepers(home), *postmasters(home)])
    (handle.data_dir / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 16.*RECAUDO_DATABASE_URL"):
        open_embedded(home)


def test_a_server_that_cannot_start_is_refused_with_the_end_of_its_log(home):
    with open_embedded(home) as handle:
        pass
    kill_all([*keepers(home), *postmasters(home)])
    with (handle.data_dir / "postgresql.conf").open("a") as file:
        file.write("\nno_such_setting = 1\n")
    with pytest.raises(EmbeddedError, match=r"ended while it started(.|\n)*no_such_setting"):
        open_embedded(home)


def test_a_home_that_is_a_file_is_refused(home):
    home.write_text("")
    with pytest.raises(EmbeddedError, match="must be a folder"):
        open_embedded(home)


def test_a_large_log_is_put_aside_at_the_start(home, monkeypatch):
    monkeypatch.setattr(embedded_module, "LOG_LIMIT_BYTES", 1000)
    home.mkdir(mode=0o700)
    (home / "postgres.log").write_text("old\n" * 1000)
    with open_embedded(home) as handle:
        assert "old" not in handle.log_path.read_text()
    assert "old" in (home / "postgres.log.1").read_text()


@as_root
def test_root_uses_a_closed_home_without_opening_any_folder_to_others(home):
    home.mkdir(mode=0o700)
    above = [*home.parents, *embedded_module._bin_dir().parents]
    modes = [folder.stat().st_mode for folder in above]
    with open_embedded(home) as handle:
        assert answers(handle)
        assert handle.data_dir.stat().st_uid == postmasters(home)[0].uids().real != 0
        assert stat.S_IMODE(handle.data_dir.stat().st_mode) == 0o700
    assert [folder.stat().st_mode for folder in above] == modes
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@as_root
@pytest.mark.parametrize("whose", ["root's", "docker's"])
def test_root_uses_a_virtual_environment_in_a_closed_folder_with_one_capability(home, closed_packages, whose):
    docker_leaves = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31}
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    libc = ctypes.CDLL(None)

    def drop_the_others() -> None:
        for capability in set(range(last + 1)) - docker_leaves:
            libc.prctl(24, capability, 0, 0, 0)

    env = {"PYTHONPATH": f"{closed_packages}:{Path(recaudo.__file__).parents[1]}"}
    with User(home, env=env, preexec_fn=drop_the_others if whose == "docker's" else None) as user:
        assert user.answer().startswith("postgresql://")
        (postmaster,) = postmasters(home)
        assert postmaster.exe().startswith(str(closed_packages))
        dac_override, dac_read_search = 1 << 1, 1 << 2
        assert capabilities(postmaster) == (dac_override if whose == "docker's" else dac_read_search)


@as_root
def test_root_runs_data_as_the_account_that_owns_it_even_one_without_a_name(home):
    with open_embedded(home) as handle:
        pass
    kill_all([*keepers(home), *postmasters(home)])
    for path in [handle.data_dir, *handle.data_dir.rglob("*")]:
        os.chown(path, 54321, 54321)
    with open_embedded(home) as handle:
        assert answers(handle)
        assert postmasters(home)[0].uids().real == 54321


@as_root
def test_an_ordinary_user_has_a_server_of_its_own_and_root_may_share_it(ordinary):
    home = ordinary.folder / "home"
    uid = pwd.getpwnam(ORDINARY_USER).pw_uid
    with ordinary.user(home) as user:
        assert user.answer().startswith("postgresql://")
        assert [process.uids().real for process in [*keepers(home), *postmasters(home)]] == [uid, uid]
        assert capabilities(postmasters(home)[0]) == 0
        with open_embedded(home) as handle:
            assert answers(handle)
    wait_until(lambda: stopped(home))
    with open_embedded(home) as handle:
        assert answers(handle)
    wait_until(lambda: stopped(home))
    with ordinary.user(home) as user:
        assert user.answer().startswith("postgresql://")
    wait_until(lambda: stopped(home))


@as_root
def test_an_ordinary_user_is_told_that_a_home_belongs_to_somebody_else(ordinary):
    home = ordinary.folder / "closed"
    home.mkdir(mode=0o700)
    with ordinary.user(home) as user:
        assert "run as its owner, or set another RECAUDO_HOME" in user.answer()


def take(source: Path, target: Path, **options) -> None:
    """Copy a folder by hard links where the file system allows, since they cost nothing."""

    def link(old: str, new: str) -> None:
        try:
            os.link(old, new)
        except OSError:
            shutil.copy2(old, new)

    shutil.copytree(source, target, copy_function=link, symlinks=True, **options)


def take_wheel(target: Path) -> None:
    wheel = embedded_module._bin_dir().parents[1]
    take(wheel, target / wheel.name, ignore=shutil.ignore_patterns("pginstall"))
    for libraries in wheel.parent.glob(f"{wheel.name}.libs"):
        take(libraries, target / libraries.name)


@pytest.fixture(scope="module")
def closed_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Site packages in a folder that is closed to others."""
    folder = tmp_path_factory.mktemp("closed")
    folder.chmod(0o700)
    take_wheel(folder)
    return folder


class Ordinary:
    """An unprivileged user with an interpreter, a wheel and this module that it can reach.

    The ones of this run may lie in folders that are closed to it, so it gets its own; it has no privileges.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "user"
        base, version = Path(sys.base_prefix), f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.python, library = folder / "bin" / version, folder / "lib"
        lean = shutil.ignore_patterns("site-packages", "dist-packages", "test", "__pycache__", "config-*")
        take(base / "lib" / version, library / version, ignore=lean)
        self.python.parent.mkdir()
        for source, target in [
            (base / "bin" / version, self.python),
            *((path, library / path.name) for path in (base / "lib").glob("libpython*")),
        ]:
            shutil.copy(source, target)
        take_wheel(folder / "packages")
        store = Path(embedded_module.__file__).parent
        (folder / "packages" / "recaudo" / "store").mkdir(parents=True)
        for module in ("embedded.py", "embedded_keeper.py"):
            shutil.copy(store / module, folder / "packages" / "recaudo" / "store")
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)
        self.folder.mkdir(mode=0o700)
        shutil.chown(self.folder, ORDINARY_USER)

    def user(self, home: Path) -> User:
        root = self.folder.parent
        env = {"PYTHONPATH": str(root / "packages"), "LD_LIBRARY_PATH": str(root / "lib"), "HOME": "/"}
        account = pwd.getpwnam(ORDINARY_USER)
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        return User(home, python=str(self.python), env=env, cwd="/", **identity)


@pytest.fixture(scope="module")
def ordinary() -> Iterator[Ordinary]:
    # Not below pytest's own folder, which is closed to others.
    with tempfile.TemporaryDirectory(prefix="recaudo-test-") as folder:
        yield Ordinary(Path(folder))
