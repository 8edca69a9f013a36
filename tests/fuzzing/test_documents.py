"""Every operation of every document, with requests made from the document: no fault, and every answer as it says.

The requests are the same in each run. `make fuzz` makes others, and many more.
"""

import asyncio

import pytest

from tests.fuzzing.documents import TARGETS, fuzz
from tests.world import World

EXAMPLES = 1
# Far above what it takes: other tests may run beside it.
TIMEOUT_S = 400
CASES_MIN = {"onepay": 300, "treli": 400, "registers": 60, "recaudo": 300}


@pytest.mark.timeout(420)
async def test_every_operation_answers_as_its_document_says(world: World) -> None:
    """All at once: most of the time goes into making requests, which each does in a process of its own."""
    runs = (fuzz(world, target, examples=EXAMPLES, seed=None, timeout_s=TIMEOUT_S) for target in TARGETS)
    for found in await asyncio.gather(*runs):
        assert found.is_clean, found.output
        assert found.cases >= CASES_MIN[found.name], found.output
