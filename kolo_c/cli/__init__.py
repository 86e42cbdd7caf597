"""The command line: one command per file, each with a COMMAND; main.py finds them."""
