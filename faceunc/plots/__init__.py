"""Figures: ``plot_x(..., ax=None) -> Axes``, and ``save_x`` that writes a file."""
