"""Every figure: what it shows, computed first; then drawn."""
