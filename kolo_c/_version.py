"""The version, read by the build as well: a plain string and nothing else."""

__version__ = "0.1.0"
