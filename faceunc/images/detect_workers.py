"""Moved to :mod:`faceunc.threads`."""

from faceunc.threads import MOST_WORKERS, in_order, torch_workers

__all__ = ["MOST_WORKERS", "in_order", "torch_workers"]
