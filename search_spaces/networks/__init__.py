"""Networks with slots for blocks, and networks as chains of blocks."""
