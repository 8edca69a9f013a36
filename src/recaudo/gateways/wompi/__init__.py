"""Wompi (Colombia): its hosted checkout, its API and its events (gateways specification, section 2)."""

from recaudo.gateways.wompi.adapter import Wompi
from recaudo.gateways.wompi.api import WompiHosts

__all__ = ["Wompi", "WompiHosts"]
