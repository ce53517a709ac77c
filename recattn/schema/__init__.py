"""The doors: what a frame must look like."""
