"""Scores and labels -> figures. Metrics know nothing of images, files or models. Similarity: higher = same person."""
