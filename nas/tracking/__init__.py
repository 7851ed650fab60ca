"""Shows the trials to TensorBoard, MLflow and Weights & Biases while they run."""
