"""Commands of the command line, grouped by what they are for; ``training.cli`` mounts them."""
