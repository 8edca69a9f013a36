"""The use cases' parts for whoever only works on the database: no gateway is called, no webhook is rendered.

A command that needs no more is at work sooner. `parts.py` adds the rest.
"""

from recaudo.importing.jobs import FilesOfRows
from recaudo.store.database import Database
from recaudo.store.replica import Lists
from recaudo.store.vault import Vault
from recaudo.store.writer import Writer
from recaudo.system import RandomIds, SystemClock, random_fraction
from recaudo.usecases.core import Core
from recaudo.usecases.resting import Rests
from recaudo.usecases.turns import Turns


def make_core_alone(database: Database, secret: str) -> Core:
    """The use cases' parts, over an open database; `secret` is what secrets at rest are encrypted under."""
    return Core(
        database=database,
        lists=Lists(database),
        writer=Writer(database),
        turns=Turns(),
        clock=SystemClock(),
        ids=RandomIds(),
        chance=random_fraction,
        gateways={},
        webhooks={},
        vault=Vault(secret),
        rests=Rests(),
        files=FilesOfRows(),
    )
