"""What this process counts and times about itself, for whoever watches it; nothing of networks."""
