"""Training of the networks: settings, losses, the loop."""
