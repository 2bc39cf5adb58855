"""Heads that ship with faceunc; each has a card (.json) beside it."""
