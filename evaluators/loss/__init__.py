"""The loss around a trained network: Hessian, sharpness, landscape."""
