"""Versions: ours, which the build reads as well, and the schema's; plain values."""

__version__ = "0.1.0"
SCHEMA_VERSION = 1
