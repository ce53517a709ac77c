"""From frames to carriers in numpy."""
