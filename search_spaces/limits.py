"""Sizes above which a network is taken for a typing error, or for malice.

Without them a placement of a million letters or an image of 99999999999 pixels would be
counted, tiled and built for hours. Each is our choice, far above what is published.
"""

MAX_BLOCKS = 2000
"""Blocks of a network. The deepest residual network of He et al. (2016), of 1202
layers, has 600."""

MAX_SIZE = 2**16
"""Channels of a stage and of the image, pixels of an image side."""

MAX_SETTING = 2**16
"""Heads, channels of a head, and pixels of a window side."""

MAX_CLASSES = 10**7
"""Classes, above every published image classifier."""
