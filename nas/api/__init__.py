"""What ``import nas`` offers: every command as a function, and studies with verbs."""
