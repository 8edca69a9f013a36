"""The command line: recaudo serve | worker | demo | migrate | merchant | gateway | reconcile | doctor | ..."""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Generator
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from recaudo import __version__, cli_gateways, cli_import, cli_reconcile
from recaudo.cli_shell import console, count, fail, migrated, opened, reached, tell, with_core
from recaudo.config import Settings, read_settings, secret_key

app = typer.Typer(
    name="recaudo",
    help="A self-hosted invoice-collection server for Latin America.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    add_completion=False,
)
merchants = typer.Typer(help="Merchants: the businesses that collect.", no_args_is_help=True)
events = typer.Typer(help="Events: what happened, as it happens.", no_args_is_help=True)
webhooks = typer.Typer(help="Webhooks: tools for whoever receives them.", no_args_is_help=True)
app.add_typer(merchants, name="merchant")
app.add_typer(cli_gateways.app, name="gateway")
app.add_typer(events, name="events")
app.add_typer(webhooks, name="webhooks")

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
        if _PLAIN_ERRORS.isdisjoint(kind.__name__ for kind in type(error).__mro__):
            raise
        console.print(f"[red]recaudo:[/red] {error}", highlight=False)
        sys.exit(1)


# By their names, as loading their modules takes longer than most commands; what is derived from one counts as well.
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
    with migrated(settings, stays=True) as url:
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

    with migrated(settings, stays=True) as url:
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
    with opened(settings) as url:
        done = asyncio.run(reached(partial(run_migrations, url, progress=tell), stays=True))
        tell("The database is up to date." if not done else f"Done: {', '.join(done)}.")
        if distribute:
            try:
                spread = asyncio.run(run_distribution(url, progress=tell))
            except NoCitusError as error:
                fail(str(error))
            tell(f"Distributed: {', '.join(spread)}." if spread else "Every table was distributed already.")


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
        created = with_core(read_settings(), run)
    except use_cases.BadNameError:
        fail(f"The name must have 1 to {use_cases.NAME_CHARS_MAX} characters.")
    except use_cases.BadSlugError:
        fail(f"The slug {slug!r} cannot be used: 3 to 50 lower-case letters, digits and hyphens, no reserved word.")
    except SlugTakenError:
        fail(f"Another merchant has the slug {slug!r}.")
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

    found = with_core(read_settings(), run)
    if found:
        fail(f"{found} stored values differ from what receipts and transfers say.")
    tell("Every stored status and sum agrees with receipts and transfers.")


@app.command()
def demo(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Start a server with a demo merchant whose test key is sk_test_xxx."""
    os.environ.setdefault("RECAUDO_WEBHOOKS_ALLOW_HTTP", "1")
    os.environ.setdefault("RECAUDO_WEBHOOKS_ALLOW_PRIVATE_NETWORKS", "1")
    os.environ.setdefault("RECAUDO_LOG_LEVEL", "warning")
    settings = _with_address(read_settings(), host, port)
    address = _free_address(host, port)
    with migrated(settings, stays=True) as url:
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
        fail("--database-url takes one seed: with --seeds every process has a database of its own.")
    try:
        chosen = [seed] if seeds is None else read_seeds(seeds)
    except ValueError:
        fail(f"--seeds is {seeds[:40] if seeds else ''!r}; it must look like 1-2000.")
    wanted = Wanted(seeds=chosen, steps=steps, processes=processes, database_url=database_url)
    total = run(wanted, console)
    show(total, Console())
    if total.failed:
        fail(f"{count(len(total.failed), 'seed', 'seeds')} of {total.runs} broke a rule.")


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
        fail(f"Cannot listen on {host}, port {port}: {error.strerror}. Choose another with --host and --port.")
    return str(address[0])


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

    database = await reached(partial(Database.connect, url, connections_max=2), stays=True)
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
        fail("Nobody can press Enter here: give the secret with --secret, or --yes to go on.")


# Here, as commands are listed in the order in which they are added.
app.command("import")(cli_import.import_file)
app.command("reconcile")(cli_reconcile.reconcile)
