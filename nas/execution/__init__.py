"""How trials run: Ray Tune's driver side and the processes that train."""
