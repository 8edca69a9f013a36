"""The loops that claim due work and perform it."""
