"""What plugins are, which there are, and how their records are named."""
