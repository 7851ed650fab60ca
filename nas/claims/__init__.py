"""The claims of Park & Kim (ICLR 2022), each measured on the user's own images."""
