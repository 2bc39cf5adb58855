"""Uncertain detection: how far MTCNN's box and five points may be off, and what follows for overlapping candidates."""
