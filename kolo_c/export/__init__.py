"""Traces in files that leave the store: for kolo-c elsewhere, and for other viewers."""
