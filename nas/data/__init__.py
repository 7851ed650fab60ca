"""The images of a search: data sets, augmentation, preprocessing."""
