"""Whether a table of trials supports the end-of-stage rule, and how firmly."""
