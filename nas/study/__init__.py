"""A study directory: opened, watched, described."""
