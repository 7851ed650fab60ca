"""``python -m nas`` is ``nas``."""

from nas.start import main

main()
