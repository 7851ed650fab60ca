"""The blocks that a placement can choose between."""
