"""Proof that cores and hooks record the same: programs, their traces, comparison.

Threads: any. Owns: nothing. Fails: never.
"""
