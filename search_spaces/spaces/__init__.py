"""Sets of architectures to search in."""
