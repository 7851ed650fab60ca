"""Who chooses what is trained next: samplers, designs, baselines, halving."""
