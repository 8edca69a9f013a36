"""Mercado Pago: payers pay on its hosted page, which a preference opens (gateways specification, section 3).

A preference charges nothing. What was paid is known only from the payments that the vendor's API reports; notices and
returns say where to ask. What the vendor's reference says beyond the specification is marked where it is used.
"""

from recaudo.gateways.mercadopago.adapter import MercadoPago

__all__ = ["MercadoPago"]
