"""Reading what was recorded: segments, mappings, definitions, values.

Nothing is imported here, so that a command pays for what it uses alone.
"""
