"""What a study writes down: the journal, its rows, and who may write."""
