"""What each block of a network does to the feature maps that pass it."""
