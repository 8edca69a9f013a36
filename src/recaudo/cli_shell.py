"""What commands share: how they speak and fail, and how they come to the database and to a merchant's account."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

from recaudo.config import Settings, secret_key

# Progress and messages go to standard error: standard output is for results that programs read.
console = Console(stderr=True)

Slug = Annotated[str, typer.Argument(help="The merchant's slug.")]
OfTest = Annotated[bool, typer.Option("--test", help="The merchant's test account instead of the live one.")]
Reached = TypeVar("Reached")


@contextlib.contextmanager
def opened(settings: Settings) -> Generator[str]:
    """The database's URL: the operator's, or that of the embedded one, which runs as long as this block."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    from recaudo.store.embedded import open_embedded

    with open_embedded(settings.home, progress=tell) as handle:
        yield handle.url


@contextlib.contextmanager
def migrated(settings: Settings, *, stays: bool = False) -> Generator[str]:
    """The same, at this program's version: the embedded one is migrated, the operator's must have been.

    What `stays`, as a server does, may be started before its database.
    """
    from recaudo.store.migrate import migrate as run_migrations, require_current

    with opened(settings) as url:
        if settings.database_url is None:
            asyncio.run(reached(partial(run_migrations, url, progress=tell), stays=True))
        else:
            asyncio.run(reached(partial(require_current, url), stays=stays))
        yield url


async def reached(reach: Callable[[], Awaitable[Reached]], *, stays: bool) -> Reached:
    """What `reach` makes of the database, which is waited for while it says that it is starting.

    What `stays`, as a server does, waits for one that does not answer at all, too. A person who typed a command would
    rather hear of that at once.
    """
    from recaudo.store.database import DatabaseAwayError, DatabaseStartingError
    from recaudo.store.patience import PATIENCE_S, patiently

    told: list[DatabaseAwayError] = []

    def waiting(error: DatabaseAwayError) -> None:
        if not told:
            tell(f"{error} Trying again for {PATIENCE_S:.0f} seconds.")
        told.append(error)

    return await patiently(reach, waiting, kind=DatabaseAwayError if stays else DatabaseStartingError)


def with_core(settings: Settings, run: Any) -> Any:  # noqa: ANN401 - an async function of a Core
    """What `run` makes of the use cases, over a database that is opened for it. Modules load only when needed."""
    from recaudo.parts import close_gateways, make_core
    from recaudo.store.database import Database

    async def inside(url: str) -> Any:  # noqa: ANN401
        database = await reached(partial(Database.connect, url, connections_max=2), stays=settings.database_url is None)
        core = make_core(database, secret_key(settings), settings.vendors)
        try:
            return await run(core)
        finally:
            await close_gateways(core)
            await database.close()

    with migrated(settings) as url:
        return asyncio.run(inside(url))


def with_core_alone(settings: Settings, run: Any, *, connections_max: int) -> Any:  # noqa: ANN401 - as above
    """The same for what calls no gateway and tells no webhook."""
    from recaudo.alone import make_core_alone
    from recaudo.store.database import Database

    async def inside(url: str) -> Any:  # noqa: ANN401
        connect = partial(Database.connect, url, connections_max=connections_max)
        database = await reached(connect, stays=settings.database_url is None)
        try:
            return await run(make_core_alone(database, secret_key(settings)))
        finally:
            await database.close()

    import uvloop

    with migrated(settings) as url:
        return uvloop.run(inside(url))


async def account_of(core: Any, slug: str, *, test: bool) -> Any:  # noqa: ANN401 - an Account
    """A merchant's test account or its live one; ends the command when there is no such merchant."""
    from recaudo.store.accounts import find_account_by_slug

    async with core.database.connection() as connection:
        found = await find_account_by_slug(connection, slug, is_test=test)
    if found is None:
        fail(f"No merchant has the slug {slug!r}.")
    return found


def count(number: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{number} {one if number == 1 else many}"


def tell(text: str) -> None:
    """Say how it goes."""
    console.print(f"[dim]{text}[/dim]", highlight=False)


def fail(text: str) -> NoReturn:
    """Say what went wrong in one sentence, and end with 1."""
    console.print(f"[red]recaudo:[/red] {text}", highlight=False)
    raise typer.Exit(1)
