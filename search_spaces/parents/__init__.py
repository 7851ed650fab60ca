"""Trained CNNs with slots for a placement: ours, timm's, torchvision's, a user's."""
