"""The plugins that come with kolo_c; table.py says what they watch."""
