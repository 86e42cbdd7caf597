"""The shop's own tests have their own configuration: tests/integration/test_shop.py."""

collect_ignore = ["shop"]
