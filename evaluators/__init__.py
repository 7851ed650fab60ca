"""What a trained network is worth: one evaluator a question, all with one contract."""
