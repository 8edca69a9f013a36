"""The OpenAPI document of this dialect, for the tests that hold it against something."""

from typing import Any, cast

from recaudo.dialects.treli import openapi
from recaudo.dialects.treli.routes import Operations, register_routes, routes
from recaudo.edge.routing import Router
from tests.dialects.onepay.openapi import BASE_URL

OPERATIONS = Operations(cast("Any", None))
ROUTER = Router(routes(OPERATIONS))
REGISTERS = Router(register_routes(OPERATIONS))
DOCUMENT = openapi.document(ROUTER, REGISTERS, BASE_URL)
