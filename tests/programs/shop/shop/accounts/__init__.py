"""Who buys: customers, their addresses, their passwords."""
