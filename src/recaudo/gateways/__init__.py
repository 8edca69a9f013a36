"""Payment gateways: one file each, behind the port of usecases/ports.py."""
