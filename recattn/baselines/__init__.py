"""Recommenders to beat."""
