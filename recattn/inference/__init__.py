"""From a scorer to scores."""
