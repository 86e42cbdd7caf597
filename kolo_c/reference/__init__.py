"""The Python core: the specification of what the C core writes, and its stand-in where
there is no extension (PyPy, no compiler, a free-threaded Python).

Each module is the twin of the C file of its name and explains itself by it. Nothing
here imports the extension, or anything that is not in Python's own library.

Threads, Owns, Fails: see each module. Importing this package does nothing.
"""
