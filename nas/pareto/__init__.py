"""Non-dominated trials: the front, its table and its figure."""
