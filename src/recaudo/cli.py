"""The command line: recaudo serve | worker | demo | migrate | merchant | gateway | reconcile | doctor | ..."""

import asyncio
import contextlib
import getpass
import os
import re
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Generator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from recaudo import __version__, cli_import
from recaudo.config import Settings, read_settings, secret_key

app = typer.Typer(
    name="recaudo",
    help="A self-hosted invoice-collection server for Latin America.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    add_completion=False,
)
merchants = typer.Typer(help="Merchants: the businesses that collect.", no_args_is_help=True)
gateways = typer.Typer(help="Gateways: who collects a merchant's money.", no_args_is_help=True)
events = typer.Typer(help="Events: what happened, as it happens.", no_args_is_help=True)
webhooks = typer.Typer(help="Webhooks: tools for whoever receives them.", no_args_is_help=True)
app.add_typer(merchants, name="merchant")
app.add_typer(gateways, name="gateway")
app.add_typer(events, name="events")
app.add_typer(webhooks, name="webhooks")

# Progress and messages go to standard error: standard output is for results that programs read.
console = Console(stderr=True)

# Who does not get a request's head across in this time gives their place back; so does a connection that rests.
HEADERS_MS = 20_000
HEADERS_BYTES_MAX = 64 * 1024
# At once, in one server process; more wait in the kernel's line, and then outside.
CONNECTIONS_MAX = 4096
FILES_BESIDE = 512

DEMO_KEY = "sk_test_xxx"
DEMO_SLUG = "demo"


def main() -> None:
    """Run the command line; errors that the user can mend are one sentence, not a trace."""
    try:
        app()
    except Exception as error:
        if type(error).__name__ not in _PLAIN_ERRORS:
            raise
        console.print(f"[red]recaudo:[/red] {error}", highlight=False)
        sys.exit(1)


_PLAIN_ERRORS = {
    "SettingsError",
    "EmbeddedError",
    "DatabaseAwayError",
    "DatabaseTooNewError",
    "DatabaseNotMigratedError",
    "MigrationFailedError",
    "ToolError",
    "SecretLostError",
    "NotEmptyError",
}

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]
Secret = Annotated[str | None, typer.Option(help="The endpoint's secret; one is made and shown without it.")]
Token = Annotated[str | None, typer.Option(help="The endpoint's x-webhook-token (OnePay); made without it.")]
Slug = Annotated[str, typer.Argument(help="The merchant's slug.")]
Credentials = Annotated[
    list[str] | None, typer.Option("--credential", help="NAME=@FILE, or NAME=VALUE. May be repeated.")
]
FromEnvironment = Annotated[
    str | None, typer.Option(help="Read credentials from variables: this prefix and the name in capitals.")
]
Kind = Annotated[str, typer.Argument(help="The gateway, for example wompi or mercadopago.")]
OfTest = Annotated[bool, typer.Option("--test", help="The merchant's test account instead of the live one.")]


class Dialect(StrEnum):
    """Whose webhooks are meant."""

    ONEPAY = "onepay"
    TRELI = "treli"
    RECAUDO = "recaudo"


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Server processes.")] = 1,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Run the due work in these processes.")] = True,
) -> None:
    """Answer HTTP, and perform due work in the same processes unless told not to."""
    settings = _with_address(read_settings(), host, port)
    address = _free_address(host, port)
    with _database(settings) as url:
        _run_server(settings, url, host=address, port=port, workers=workers, runs_worker=worker)


@app.command()
def worker(
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Serve metrics on this port of 127.0.0.1.")
    ] = None,
) -> None:
    """Perform due work only: tell webhooks, expire collections, ask gateways about open attempts.

    Give it the same RECAUDO_PUBLIC_URL, RECAUDO_SECRET_KEY and RECAUDO_WEBHOOKS_... as the server: it renders links and
    signs.
    """
    from recaudo.app import run_worker
    from recaudo.edge.observe import configure_logging

    settings = read_settings()
    configure_logging(settings.log_level)

    import uvloop

    async def run(url: str) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run_worker(settings, url, stop, metrics_port=metrics_port)

    with _database(settings) as url:
        uvloop.run(run(url))


@app.command()
def migrate(
    *,
    distribute: Annotated[
        bool, typer.Option("--distribute", help="Spread the tables over a Citus cluster, by account; may be repeated.")
    ] = False,
) -> None:
    """Bring the database to this program's version."""
    from recaudo.store.distribute import NoCitusError, distribute as run_distribution
    from recaudo.store.migrate import migrate as run_migrations

    settings = read_settings()
    with _opened(settings) as url:
        done = asyncio.run(run_migrations(url, progress=_tell))
        _tell("The database is up to date." if not done else f"Done: {', '.join(done)}.")
        if distribute:
            try:
                spread = asyncio.run(run_distribution(url, progress=_tell))
            except NoCitusError as error:
                _fail(str(error))
            _tell(f"Distributed: {', '.join(spread)}." if spread else "Every table was distributed already.")


@merchants.command("create")
def create_merchant(
    name: Annotated[str, typer.Argument(help="What payers read, for example 'Acueducto de Sopó'.")],
    slug: Annotated[str, typer.Option(help="The portal's address: 3 to 50 lower-case letters, digits, hyphens.")],
    contact: Annotated[str | None, typer.Option(help="Whom payers may ask: an e-mail, phone or web address.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Create a merchant with a live and a test account, and print its keys: they are shown only now."""
    from recaudo.store.accounts import SlugTakenError
    from recaudo.usecases import merchants as use_cases

    async def run(core: Any) -> Any:  # noqa: ANN401 - a Core, whose module loads only when a command needs it
        return await use_cases.create(core, name, slug, support_contact=contact)

    try:
        created = _with_core(read_settings(), run)
    except use_cases.BadNameError:
        _fail(f"The name must have 1 to {use_cases.NAME_CHARS_MAX} characters.")
    except use_cases.BadSlugError:
        _fail(f"The slug {slug!r} cannot be used: 3 to 50 lower-case letters, digits and hyphens, no reserved word.")
    except SlugTakenError:
        _fail(f"Another merchant has the slug {slug!r}.")
    if json:
        print(_merchant_json(created))  # noqa: T201 - the result, for programs
    else:
        _print_merchant(name, created)


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per finding.")] = False,
) -> None:
    """Recompute every stored status and sum from receipts and transfers; exit 1 if any differs."""
    from recaudo.store.doctor import examine

    async def run(core: Any) -> int:  # noqa: ANN401
        count = 0
        async for check, findings in examine(core.database):
            count += len(findings)
            if json:
                for finding in findings:
                    print(msgspec.json.encode(finding).decode())  # noqa: T201 - the result, for programs
                continue
            mark = "[green]ok[/green]" if not findings else f"[red]{len(findings)} wrong[/red]"
            console.print(f"{mark}  {check.name}: {check.meaning}", highlight=False, soft_wrap=True)
            for finding in findings:
                console.print(f"    {finding.id}: stored {finding.stored}, computed {finding.computed}", soft_wrap=True)
        return count

    found = _with_core(read_settings(), run)
    if found:
        _fail(f"{found} stored values differ from what receipts and transfers say.")
    _tell("Every stored status and sum agrees with receipts and transfers.")


@gateways.command("add")
def add_gateway(
    slug: Slug,
    kind: Kind,
    *,
    test: OfTest = False,
    credential: Credentials = None,
    from_env: FromEnvironment = None,
    position: Annotated[int, typer.Option(min=0, max=1000, help="Lower ones are tried first.")] = 0,
) -> None:
    """Set up a gateway of a merchant, and print the address that its vendor's panel asks for.

    Give secrets by prompt, by environment or as NAME=@FILE: an argument shows in the machine's list of processes. What
    is required and not given is asked for.
    """
    from recaudo.usecases import gateways as use_cases

    settings = read_settings()

    async def run(core: Any) -> Any:  # noqa: ANN401 - a Core, whose module loads only when a command needs it
        account = await _account(core, slug, test=test)
        if kind not in use_cases.kinds(core):
            _fail(f"There is no gateway {kind!r}; use one of {', '.join(use_cases.kinds(core))}.")
        asked = core.gateways[kind].abilities.credentials
        given = _given_credentials(asked, credential or (), from_env)
        command = use_cases.NewGateway(kind=kind, credentials=_complete(asked, given), position=position)
        made: list[Any] = []

        def respond(it: Any) -> tuple[int, bytes]:  # noqa: ANN401
            made.append(it)
            return 201, b""

        try:
            await use_cases.create(core, account, command, respond, once=None)
        except use_cases.InvalidCredentialsError as error:
            _fail(_credential_problems(error))
        except use_cases.KindTakenError:
            _fail(f"The merchant has {kind} already. Change it with recaudo gateway set, or remove it.")
        return made[-1]

    made = _with_core(settings, run)
    _tell(f"Added, not tried yet: recaudo gateway verify {slug} {kind}{' --test' if test else ''}")
    _tell("Paste this address into the vendor's panel, for its events or webhooks:")
    print(_notice_url(settings, made))  # noqa: T201 - the result


@gateways.command("set")
def set_gateway(
    slug: Slug,
    kind: Kind,
    *,
    test: OfTest = False,
    credential: Credentials = None,
    from_env: FromEnvironment = None,
    position: Annotated[int | None, typer.Option(min=0, max=1000, help="Lower ones are tried first.")] = None,
) -> None:
    """Change a gateway's credentials or its place in the order. What is not named stays as it is."""
    from recaudo.usecases import gateways as use_cases

    async def run(core: Any) -> None:  # noqa: ANN401
        account, found = await _gateway(core, slug, kind, test=test)
        asked = core.gateways[kind].abilities.credentials
        given = _given_credentials(asked, credential or (), from_env)
        fields = ({"credentials": given} if given else {}) | ({} if position is None else {"position": position})
        if not fields:
            _fail("Nothing to change: give --credential, --from-env or --position.")
        try:
            await use_cases.change(core, account, found.id, lambda _: fields, lambda _: (200, b""), once=None)
        except use_cases.InvalidCredentialsError as error:
            _fail(_credential_problems(error))
        except use_cases.GatewayBusyError as error:
            whom = _count(error.waiting, "attempt or refund waits", "attempts or refunds wait")
            _fail(f"These are keys of another account at {kind}, and {whom} for the answer of the present one.")

    _with_core(read_settings(), run)
    _tell(f"Changed. Try it: recaudo gateway verify {slug} {kind}{' --test' if test else ''}")


@gateways.command("rotate")
def rotate_gateway(
    slug: Slug,
    kind: Kind,
    *,
    test: OfTest = False,
    overlap: Annotated[int, typer.Option(min=0, max=168, help="Hours for which the old address goes on.")] = 24,
) -> None:
    """Give a gateway another address for its notices, and print it for the vendor's panel."""
    from recaudo.usecases import gateways as use_cases

    settings = read_settings()
    made: list[Any] = []

    async def run(core: Any) -> None:  # noqa: ANN401
        account, found = await _gateway(core, slug, kind, test=test)

        def respond(it: Any) -> tuple[int, bytes]:  # noqa: ANN401
            made.append(it)
            return 200, b""

        await use_cases.rotate(core, account, found.id, lambda: timedelta(hours=overlap), respond, once=None)

    _with_core(settings, run)
    goes_on = f"goes on for {_count(overlap, 'hour', 'hours')}" if overlap else "is closed"
    _tell(f"Paste this address into the vendor's panel; the old one {goes_on}:")
    print(_notice_url(settings, made[-1]))  # noqa: T201 - the result


@gateways.command("list")
def list_gateways(
    slug: Slug,
    *,
    test: OfTest = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per gateway.")] = False,
) -> None:
    """List a merchant's gateways in the order in which they are tried; credentials are not shown."""
    from recaudo.dialects.recaudo.render_money import gateway
    from recaudo.usecases import gateways as use_cases

    settings = read_settings()

    async def run(core: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        account = await _account(core, slug, test=test)
        found = await use_cases.list_all(core, account)
        return [gateway(it, core.gateways.get(it.kind), settings.public_url, is_test=account.is_test) for it in found]

    rows = _with_core(settings, run)
    if json:
        for row in rows:
            print(msgspec.json.encode(row).decode())  # noqa: T201 - the result, for programs
    elif not rows:
        _tell("No gateway. Add one with: recaudo gateway add")
    else:
        _print_gateways(rows)


@gateways.command("verify")
def verify_gateway(slug: Slug, kind: Kind, *, test: OfTest = False) -> None:
    """Try a gateway's credentials with a call that changes nothing; exit 1 if they do not work."""
    from recaudo.usecases import gateways as use_cases

    async def run(core: Any) -> Any:  # noqa: ANN401
        account, found = await _gateway(core, slug, kind, test=test)
        return await use_cases.verify(core, account, found.id)

    verified = _with_core(read_settings(), run)
    if verified.problem is not None:
        _fail(f"The credentials of {kind} do not work: {verified.problem.rstrip('.')}.")
    whose = f" They are those of {verified.merchant_name}." if verified.merchant_name else ""
    _tell(f"The credentials of {kind} work.{whose}")


@gateways.command("enable")
def enable_gateway(slug: Slug, kind: Kind, *, test: OfTest = False) -> None:
    """Offer a gateway to payers again."""
    _switch(slug, kind, test=test, enabled=True)
    _tell(f"Payers are offered {kind}.")


@gateways.command("disable")
def disable_gateway(slug: Slug, kind: Kind, *, test: OfTest = False) -> None:
    """Offer a gateway to payers no more; it is still asked about what was begun."""
    _switch(slug, kind, test=test, enabled=False)
    _tell(f"Payers are not offered {kind}. It is still asked about what was begun.")


@gateways.command("remove")
def remove_gateway(slug: Slug, kind: Kind, *, test: OfTest = False) -> None:
    """Forget a gateway, its credentials and its notices. Refused while something waits for its answer."""
    from recaudo.usecases import gateways as use_cases

    async def run(core: Any) -> None:  # noqa: ANN401
        account, found = await _gateway(core, slug, kind, test=test)
        try:
            await use_cases.delete(core, account, found.id)
        except use_cases.GatewayBusyError as error:
            whom = _count(error.waiting, "attempt or refund", "attempts or refunds")
            _fail(
                f"The answer of {kind} is awaited by {whom}. Switch it off with recaudo gateway disable, and remove it "
                "when they are decided."
            )

    _with_core(read_settings(), run)
    _tell(f"Removed {kind}. Its receipts stay.")


@app.command("reconcile")
def reconcile(
    merchant: Annotated[str | None, typer.Option(help="Only this merchant's accounts, by its slug.")] = None,
    since: Annotated[str, typer.Option(help="How far back: 2d, 36h. At most 92d.")] = "2d",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per gateway that was asked.")] = False,
) -> None:
    """Compare the gateways' own lists with what is booked, and book what they collected and nobody told us.

    Exit 1 when differences are left for a person, or a gateway could not be asked.
    """
    span = _span(since)

    async def run(core: Any) -> list[Any]:  # noqa: ANN401
        until = core.clock.now()
        return await _compare(core, await _accounts_to_compare(core, merchant), until - span, until)

    compared = _with_core(read_settings(), run)
    if json:
        for one in compared:
            print(_comparison_json(one))  # noqa: T201 - the result, for programs
    else:
        _print_comparisons(compared)
    left, mute = sum(len(one.open) for one in compared), sum(one.problem is not None for one in compared)
    if left or mute:
        open_words = _count(left, "difference is", "differences are")
        _fail(f"{open_words} left for a person, and {_count(mute, 'gateway', 'gateways')} could not be asked.")
    _tell(f"Both sides agree: {_count(len(compared), 'gateway', 'gateways')} compared.")


@app.command()
def demo(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Start a server with a demo merchant whose test key is sk_test_xxx."""
    os.environ.setdefault("RECAUDO_WEBHOOKS_ALLOW_HTTP", "1")
    os.environ.setdefault("RECAUDO_WEBHOOKS_ALLOW_PRIVATE_NETWORKS", "1")
    os.environ.setdefault("RECAUDO_LOG_LEVEL", "warning")
    settings = _with_address(read_settings(), host, port)
    address = _free_address(host, port)
    with _database(settings) as url:
        merchant = asyncio.run(_demo_merchant(url, secret_key(settings)))
        _print_demo(settings, merchant)
        _run_server(settings, url, host=address, port=port, workers=1, runs_worker=True)


@events.command("tail")
def tail_events(  # noqa: PLR0913 - typer reads the options from the signature
    *,
    url: Annotated[str, typer.Option(envvar="RECAUDO_PUBLIC_URL", help="The server.")] = "http://127.0.0.1:8000",
    key: Annotated[str | None, typer.Option(envvar="RECAUDO_KEY", help="A secret key of the account.")] = None,
    type: Annotated[list[str] | None, typer.Option(help="Only this type of event; may be repeated.")] = None,
    from_start: Annotated[bool, typer.Option("--from-start", help="Begin with the first event.")] = False,
    forward: Annotated[str | None, typer.Option(help="POST each event to this address, signed.")] = None,
    dialect: Annotated[Dialect | None, typer.Option(help="Whose words; onepay when forwarding.")] = None,
    secret: Secret = None,
    token: Token = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per event.")] = False,
) -> None:
    """Print an account's events as they happen, and forward them to a program on your machine if you like."""
    from recaudo.devtools import tail
    from recaudo.system import SystemClock

    wanted = tail.Tail(
        url=url,
        key=key,
        types=type or (),
        from_start=from_start,
        forward=forward,
        dialect=dialect,
        secret=secret,
        token=token,
        as_json=json,
    )
    tail.run(wanted, SystemClock(), Console(), console)


@webhooks.command("torture")
def torture_receiver(
    url: Annotated[str, typer.Argument(help="Your receiver, for example http://127.0.0.1:3000/hooks.")],
    *,
    secret: Secret = None,
    token: Token = None,
    dialect: Annotated[Dialect, typer.Option(help="Whose webhooks it receives.")] = Dialect.ONEPAY,
    yes: Annotated[bool, typer.Option("--yes", help="Do not wait for Enter after showing the secret.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Send your receiver what the life of an endpoint brings, and tell what it did wrong; exit 1 if anything."""
    from recaudo.devtools import report
    from recaudo.devtools.posing import DIALECTS, Poser, check_url, open_sender
    from recaudo.devtools.tail import introduce
    from recaudo.devtools.torture import Report, Step, torture
    from recaudo.system import RandomIds, SystemClock

    check_url(url, "URL")
    poser = Poser(DIALECTS[dialect], url, SystemClock(), secret=secret, token=token)
    introduce(poser, console)
    if secret is None and not yes:
        _wait_for_enter("Put the secret into your receiver, then press Enter. ")

    async def run() -> Report:
        async with open_sender() as sender:
            with console.status("") as status:

                def tell(step: Step) -> None:
                    status.update(f"{step.name}: {step.title}")

                return await torture(poser, RandomIds(), sender, tell)

    found = asyncio.run(run())
    if json:
        print(report.as_json(found, poser))  # noqa: T201 - the result, for programs
    else:
        report.show(found, Console())
    if found.failed:
        raise typer.Exit(1)


@app.command()
def simulate(
    *,
    seed: Annotated[int, typer.Option(min=0, help="What everything is made from.")] = 1,
    steps: Annotated[int, typer.Option(min=1, max=100_000, help="How much happens.")] = 100,
    seeds: Annotated[str | None, typer.Option(help="Many instead of one: 1-2000.")] = None,
    processes: Annotated[int, typer.Option(min=1, max=64, help="So many at once.")] = 1,
    database_url: Annotated[
        str | None, typer.Option(help="An empty database to use, and to look at afterwards; for one seed.")
    ] = None,
) -> None:
    """Live through a made-up world in which everything fails, on a database of its own, and check every peso.

    The same seed and steps are the same story. Your data is not touched: RECAUDO_DATABASE_URL and RECAUDO_HOME do not
    matter here. Exit 1 when a rule was broken.
    """
    from recaudo.simulation.command import Wanted, read_seeds, show, simulate as run

    if seeds is not None and database_url is not None:
        _fail("--database-url takes one seed: with --seeds every process has a database of its own.")
    try:
        chosen = [seed] if seeds is None else read_seeds(seeds)
    except ValueError:
        _fail(f"--seeds is {seeds[:40] if seeds else ''!r}; it must look like 1-2000.")
    wanted = Wanted(seeds=chosen, steps=steps, processes=processes, database_url=database_url)
    total = run(wanted, console)
    show(total, Console())
    if total.failed:
        _fail(f"{_count(len(total.failed), 'seed', 'seeds')} of {total.runs} broke a rule.")


@app.command()
def version() -> None:
    """Print the program's version."""
    print(__version__)  # noqa: T201 - the result


def _run_server(settings: Settings, url: str, *, host: str, port: int, workers: int, runs_worker: bool) -> None:
    with _shared_metrics(workers):
        _serve(settings, url, host=host, port=port, workers=workers, runs_worker=runs_worker)


def _serve(settings: Settings, url: str, *, host: str, port: int, workers: int, runs_worker: bool) -> None:
    from granian import Granian
    from granian.constants import Interfaces, Loops
    from granian.http import HTTP1Settings

    from recaudo.app import hold_signals, serve_environment
    from recaudo.edge.observe import configure_logging

    configure_logging(settings.log_level)  # of this process, which watches over the embedded database
    os.environ.update(serve_environment(settings, url, runs_worker=runs_worker))
    os.register_at_fork(after_in_child=hold_signals)
    _allow_connections(CONNECTIONS_MAX)
    server = Granian(
        "recaudo.app:create",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=workers,
        loop=Loops.uvloop,
        websockets=False,
        backpressure=CONNECTIONS_MAX,
        backlog=CONNECTIONS_MAX,
        http1_settings=HTTP1Settings(header_read_timeout=HEADERS_MS, max_buffer_size=HEADERS_BYTES_MAX),
        log_enabled=True,
        log_level="warning",  # type: ignore[arg-type]
        respawn_failed_workers=True,
        workers_kill_timeout=35,
    )
    server.serve()


def _allow_connections(count: int) -> None:
    """Each connection is an open file, of which many systems allow a process only 1024 unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + FILES_BESIDE
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


@contextlib.contextmanager
def _shared_metrics(workers: int) -> Generator[None]:
    """Several server processes add their figures up through files in a folder of this server's own.

    The metrics library reads where they are when it is first imported, which therefore comes after this.
    """
    if workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="recaudo-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


def _free_address(host: str, port: int) -> str:
    """The host's IP address, if a server may listen there.

    The HTTP server lets its processes share a port, so a second server on it would silently get half of the requests.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        _fail(f"Cannot listen on {host}, port {port}: {error.strerror}. Choose another with --host and --port.")
    return str(address[0])


@contextlib.contextmanager
def _opened(settings: Settings) -> Generator[str]:
    """The database's URL: the operator's, or that of the embedded one, which runs as long as this block."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    from recaudo.store.embedded import open_embedded

    with open_embedded(settings.home, progress=_tell) as handle:
        yield handle.url


@contextlib.contextmanager
def _database(settings: Settings) -> Generator[str]:
    """The same, at this program's version: the embedded one is migrated, the operator's must have been."""
    from recaudo.store.migrate import migrate as run_migrations, require_current

    with _opened(settings) as url:
        if settings.database_url is None:
            asyncio.run(run_migrations(url, progress=_tell))
        else:
            asyncio.run(require_current(url))
        yield url


def _with_core(settings: Settings, run: Any) -> Any:  # noqa: ANN401 - an async function of a Core
    from recaudo.parts import close_gateways, make_core
    from recaudo.store.database import Database

    async def inside(url: str) -> Any:  # noqa: ANN401
        database = await Database.connect(url, connections_max=2)
        core = make_core(database, secret_key(settings), settings.vendors)
        try:
            return await run(core)
        finally:
            await close_gateways(core)
            await database.close()

    with _database(settings) as url:
        return asyncio.run(inside(url))


def _with_core_alone(settings: Settings, run: Any, *, connections_max: int) -> Any:  # noqa: ANN401 - as above
    """The same for what calls no gateway and tells no webhook."""
    from recaudo.alone import make_core_alone
    from recaudo.store.database import Database

    async def inside(url: str) -> Any:  # noqa: ANN401
        database = await Database.connect(url, connections_max=connections_max)
        try:
            return await run(make_core_alone(database, secret_key(settings)))
        finally:
            await database.close()

    import uvloop

    with _database(settings) as url:
        return uvloop.run(inside(url))


async def _account(core: Any, slug: str, *, test: bool) -> Any:  # noqa: ANN401
    from recaudo.store.accounts import find_account_by_slug

    async with core.database.connection() as connection:
        found = await find_account_by_slug(connection, slug, is_test=test)
    if found is None:
        _fail(f"No merchant has the slug {slug!r}.")
    return found


async def _gateway(core: Any, slug: str, kind: str, *, test: bool) -> Any:  # noqa: ANN401 - the account and its gateway
    from recaudo.usecases import gateways as use_cases

    account = await _account(core, slug, test=test)
    found = next((it for it in await use_cases.list_all(core, account) if it.kind == kind), None)
    if found is None:
        # The environment is what people get wrong.
        _fail(f"The {'test' if test else 'live'} account of {slug!r} has no {kind!r}. Did you mean the other account?")
    return account, found


def _switch(slug: str, kind: str, *, test: bool, enabled: bool) -> None:
    from recaudo.usecases import gateways as use_cases

    async def run(core: Any) -> None:  # noqa: ANN401
        account, found = await _gateway(core, slug, kind, test=test)
        await use_cases.change(core, account, found.id, lambda _: {"enabled": enabled}, lambda _: (200, b""), once=None)

    _with_core(read_settings(), run)


def _given_credentials(asked: Any, texts: Sequence[str], prefix: str | None) -> dict[str, str]:  # noqa: ANN401
    """What options and environment say; the options count where both do."""
    names = {c.name: c for c in asked}
    given: dict[str, str] = {}
    if prefix is not None:
        variables = {name: f"{prefix}{name.upper()}" for name in names}
        given = {name: text for name, variable in variables.items() if (text := os.environ.get(variable, "").strip())}
        if not given:
            _fail(f"None of these variables is set: {', '.join(variables.values())}.")
    for text in texts:
        name, sign, value = text.partition("=")
        if name not in names or not sign:
            # Not repeated: it may be a secret without its name.
            _fail(f"--credential takes NAME=@FILE or NAME=VALUE; the names are {', '.join(names)}.")
        if value.startswith("@"):
            value = _read_secret(name, value[1:])
        elif names[name].is_secret:
            _tell(f"{name} was given as an argument: other users of this machine could read it. Better: {name}=@FILE.")
        given[name] = value.strip()
    return given


def _credential_problems(error: Any) -> str:  # noqa: ANN401 - an InvalidCredentialsError
    return " ".join(f"{name}: {text.rstrip('.')}." for name, text in error.problems.items())


def _read_secret(name: str, path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - a path that the operator typed
            return file.read(10_000).strip()
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"The file of {name}, {path!r}, cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}.")


def _complete(asked: Any, given: dict[str, str]) -> dict[str, str]:  # noqa: ANN401
    """The credentials with what was not given asked for, secrets without showing what is typed."""
    missing = [c for c in asked if c.is_required and not given.get(c.name)]
    if missing and not sys.stdin.isatty():
        names = ", ".join(c.name for c in missing)
        _fail(f"Nobody can be asked here for {names}: give them with --credential NAME=@FILE or --from-env PREFIX.")
    return given | {c.name: _ask_for(c) for c in missing}


def _ask_for(it: Any) -> str:  # noqa: ANN401 - a Credential
    """What somebody types; of a secret nothing is shown, not even what is typed before the question stands there."""
    label = f"{it.name} ({it.hint})" if it.hint else it.name
    if it.is_secret:
        return getpass.getpass(f"{label}: ").strip()
    return console.input(escape(f"{label}: ")).strip()


def _notice_url(settings: Settings, it: Any) -> str:  # noqa: ANN401 - a MerchantGateway
    from recaudo.dialects.recaudo.notices import PREFIX

    return f"{settings.public_url}{PREFIX}{it.notice_key}"


def _print_gateways(rows: Sequence[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table("", "Gateway", "Offered", "Credentials", "Address for its notices", box=None)
    for row in rows:
        worked = f"worked {row['verified_at'][:16]}Z" if row["verified_at"] else "not tried yet"
        state = f"[red]{escape(row['last_problem'])}[/red]" if row["last_problem"] else worked
        table.add_row(
            str(row["position"]), row["kind"], "yes" if row["enabled"] else "no", state, escape(row["notice_url"])
        )
    Console().print(table, soft_wrap=True)


def _span(text: str) -> timedelta:
    from recaudo.usecases.reconciling import DAYS_MAX

    found = re.fullmatch(r"([0-9]{1,5})([dh])", text)
    span = timedelta(**{{"d": "days", "h": "hours"}[found[2]]: int(found[1])}) if found else timedelta()
    if not timedelta() < span <= timedelta(days=DAYS_MAX):
        _fail(f"--since is {text[:20]!r}; it must be a number of days or hours such as 2d or 36h, at most {DAYS_MAX}d.")
    return span


async def _accounts_to_compare(core: Any, slug: str | None) -> list[Any]:  # noqa: ANN401
    from recaudo.store.accounts import find_account
    from recaudo.store.gateways import accounts_with_gateways

    merchant_id = None if slug is None else (await _account(core, slug, test=False)).merchant_id
    async with core.database.connection() as connection:
        ids = await accounts_with_gateways(connection, merchant_id)
        found = [await find_account(connection, account_id) for account_id in ids]
    return [account for account in found if account is not None]


async def _compare(core: Any, accounts: Sequence[Any], since: datetime, until: datetime) -> list[Any]:  # noqa: ANN401
    """Compare account by account, with a bar that moves by gateways."""
    from rich.progress import Progress

    from recaudo.usecases import gateways as use_cases
    from recaudo.usecases.reconciling import compare_account

    counts = [len(await use_cases.list_all(core, account)) for account in accounts]
    compared: list[Any] = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=sum(counts))
        for account, count in zip(accounts, counts, strict=True):
            progress.update(task, description=_account_name(account))
            compared += await compare_account(core, account, since, until)
            progress.advance(task, count)
    return compared


_DIFFERENCES = {
    "booked_late": "collected there, not told to us; booked now",
    "unmatched": "collected there, under a reference that nothing here has; in suspense",
    "amount": "another amount there than here",
    "gone_back": "another sum went back there than here",
    "not_there": "booked here, not confirmed there",
}


def _print_comparisons(compared: Sequence[Any]) -> None:
    from rich.table import Table

    from recaudo.domain.money import label
    from recaudo.usecases.reconciling import differences

    def money(minor: int | None, currency: str) -> str:
        return "-" if minor is None else label(minor, currency)

    table = Table("Account", "Gateway", "Transaction", "There", "Here", "What is different", box=None)
    for one in compared:
        where = (_account_name(one.account), one.gateway)
        if one.problem is not None:
            table.add_row(*where, "", "", "", f"[red]could not be asked: {escape(one.problem)}[/red]")
        elif one.made is None:
            table.add_row(*where, "", "", "", "[dim]tells no list of transactions: not compared[/dim]")
        for found in () if one.made is None else differences(one.made):
            colour = "green" if found.is_mended else "red"
            there, here = (money(minor, found.currency) for minor in (found.theirs_minor, found.ours_minor))
            words = f"[{colour}]{_DIFFERENCES[found.kind]}[/{colour}]"
            table.add_row(*where, escape(found.gateway_tx_id), there, here, words)
    if table.row_count:
        Console().print(table, soft_wrap=True)


def _account_name(account: Any) -> str:  # noqa: ANN401
    return f"{account.merchant_slug} {'test' if account.is_test else 'live'}"


def _comparison_json(one: Any) -> str:  # noqa: ANN401 - a Comparison
    from recaudo.dialects.recaudo.render_money import reconciliation

    facts = {
        "merchant": one.account.merchant_slug,
        "account_id": str(one.account.id),
        "is_test": one.account.is_test,
        "gateway": one.gateway,
        "problem": one.problem,
        "reconciliation": None if one.made is None else reconciliation(one.made),
    }
    return msgspec.json.encode(facts).decode()


def _with_address(settings: Settings, host: str, port: int) -> Settings:
    """Links lead to where the server listens, unless the operator said where it is reached."""
    if os.environ.get("RECAUDO_PUBLIC_URL"):
        return settings
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
    return msgspec.structs.replace(settings, public_url=f"http://{shown}:{port}")


async def _demo_merchant(url: str, secret: str) -> Any:  # noqa: ANN401 - a NewMerchant, or None when it exists already
    from recaudo.parts import make_core
    from recaudo.store.accounts import SlugTakenError
    from recaudo.store.database import Database
    from recaudo.usecases import merchants as use_cases

    database = await Database.connect(url, connections_max=2)
    try:
        return await use_cases.create(
            make_core(database, secret),
            "Comercio de demostración",
            DEMO_SLUG,
            support_contact="soporte@ejemplo.com",
            test_secret_key=DEMO_KEY,
        )
    except SlugTakenError:
        return None
    finally:
        await database.close()


def _print_demo(settings: Settings, merchant: Any) -> None:  # noqa: ANN401
    base = settings.public_url
    body = (
        '{"reference": "1060500333", "provider_id": "987654", "provider": "biller", "amount": 50000, '
        '"name": "Internet plan - Octubre", "phone": "+573167591030", "email": "cliente@ejemplo.com", '
        '"due_date": "2025-10-20", "document_url": "https://example.com/document.pdf", "metadata": {"key": "value"}}'
    )
    lines = [
        "",
        f"[bold]Recaudo {__version__}[/bold] runs on [cyan]{base}[/cyan]  (Ctrl-C stops it)",
        "",
        f"Test key       [bold]{DEMO_KEY}[/bold]",
    ]
    if merchant is not None:
        lines.append(f"Live key       {merchant.live.secret_key}  (shown only now)")
    lines += [
        f"Portal         {base}/{DEMO_SLUG}/test   (type 1060500333 after creating the invoice below)",
        f"API reference  {base}/onepay/docs, {base}/treli/docs, {base}/recaudo/docs",
        f"Health         {base}/health",
        "",
        "Create an invoice, as OnePay's documentation does:",
        "",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    command = (
        f"curl -X POST {base}/v1/invoices \\\n  -H 'Authorization: Bearer {DEMO_KEY}' \\\n"
        f"  -H 'Content-Type: application/json' \\\n  -H 'x-idempotency: invoice-001' \\\n  -d '{body}'"
    )
    console.print(command, highlight=False, soft_wrap=True, markup=False)
    console.print("\nThen open its [bold]payment_link[/bold] in a browser and pay.", highlight=False)
    console.print("\nOr in Treli's way, a customer and an invoice in three instalments:\n", highlight=False)
    console.print(_treli_commands(base), highlight=False, soft_wrap=True, markup=False)
    console.print("\nThen open its [bold]checkout_url[/bold].\n", highlight=False)


def _treli_commands(base: str) -> str:
    customer = '{"full_name": "Empresa SAS", "email": "compras@ejemplo.com"}'
    invoice = (
        '{"items": [{"name": "Matrícula", "unit_price": "90000"}], "invoice_number": "FV-1", '
        '"customer": "\'$CUSTOMER\'", "installments": {"number_of_installments": 3, "installments_settings": '
        '[{"amount": "30000"}, {"amount": "30000", "days_until_due": 30}, {"amount": "30000", "days_until_due": 60}]}}'
    )
    post = f"-u {DEMO_KEY}: -H 'Content-Type: application/json'"
    return (
        f"CUSTOMER=$(curl -s {base}/v1/customers {post} \\\n  -d '{customer}' | grep -o 'cus_[0-9A-Za-z]*')\n"
        f"curl {base}/v1/invoices {post} \\\n  -d '{invoice}'"
    )


def _merchant_json(created: Any) -> str:  # noqa: ANN401
    def account(of: Any) -> dict[str, str]:  # noqa: ANN401
        return {"account_id": str(of.account_id), "secret_key": of.secret_key, "public_key": of.public_key}

    facts = {
        "merchant_id": str(created.merchant_id),
        "slug": created.slug,
        "live": account(created.live),
        "test": account(created.test),
    }
    return msgspec.json.encode(facts).decode()


def _print_merchant(name: str, created: Any) -> None:  # noqa: ANN401
    console.print(f"[green]Created[/green] {name} ({created.slug}). These keys are shown only now:", highlight=False)
    for label, account in (("live", created.live), ("test", created.test)):
        print(f"{label}  {account.secret_key}  {account.public_key}")  # noqa: T201 - the result


def _wait_for_enter(text: str) -> None:
    try:
        console.input(text)
    except EOFError:
        _fail("Nobody can press Enter here: give the secret with --secret, or --yes to go on.")


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _tell(text: str) -> None:
    console.print(f"[dim]{text}[/dim]", highlight=False)


def _fail(text: str) -> NoReturn:
    console.print(f"[red]recaudo:[/red] {text}", highlight=False)
    raise typer.Exit(1)


cli_import.add_to(
    app,
    cli_import.Shell(
        console=console,
        fail=_fail,
        with_core=lambda run: _with_core_alone(read_settings(), run, connections_max=cli_import.CONNECTIONS),
        account=_account,
    ),
)
