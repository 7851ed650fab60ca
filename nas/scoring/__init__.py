"""How one candidate gets its metrics."""
