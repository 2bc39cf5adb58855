"""The command line: parses, calls one function, writes. Nothing heavy is imported before a command runs."""

from faceunc.cli.main import main

__all__ = ["main"]
