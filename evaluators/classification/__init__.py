"""What a network predicts: accuracy, calibration, robustness to noise."""
