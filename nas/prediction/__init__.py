"""Every placement of a space predicted from those that were trained."""
