"""Passwords, hashed as Django does it, in fewer rounds: fifty people log in at once."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class QuickHasher(PBKDF2PasswordHasher):
    """PBKDF2."""

    algorithm = "pbkdf2_sha256"
    iterations = 1000
