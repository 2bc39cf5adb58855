"""Sweeps: one figure a cell over a grid of conditions, resumable: how a model breaks, and where uncertainty helps."""
