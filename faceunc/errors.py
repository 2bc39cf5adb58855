"""The errors that faceunc raises on purpose: one line, what was expected, what came, which file."""

from __future__ import annotations


class FaceuncError(Exception):
    """Base of every error that a user can mend; the command line prints it as one line and exits with 2."""


class InputError(FaceuncError):
    """An argument, a file or a folder is not what was expected."""


class IncompatibleError(FaceuncError):
    """Two things that must come from the same backbone, alignment or head do not."""


class OutputError(FaceuncError):
    """A result could not be written (permissions, full disk); what had been written before is intact."""


class ImageError(FaceuncError):
    """One photograph cannot be used. ``kind`` is one of :data:`FAILURE_KINDS`."""

    def __init__(self, kind: str, message: str) -> None:
        if kind not in FAILURE_KINDS:
            raise ValueError(f"kind must be one of {FAILURE_KINDS}. Got {kind!r} instead.")
        super().__init__(message)
        self.kind = kind


FAILURE_KINDS = (
    "missing",
    "unreadable",
    "not_an_image",
    "truncated",
    "too_large",
    "too_small",
    "no_face",
    "wrong_size",
)
