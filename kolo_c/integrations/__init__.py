"""Where kolo_c meets what other people made: start-up, frameworks, test runners.

Threads: any. Owns: nothing. Fails: never; each module is imported by who needs it.
"""
