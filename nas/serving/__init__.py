"""The page of a study, served live on this machine."""
