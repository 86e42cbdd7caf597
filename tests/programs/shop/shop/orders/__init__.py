"""Who ordered what, and what became of it."""
