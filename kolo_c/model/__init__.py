"""What records mean: the tree of calls, exceptions on their way, totals."""
