"""What both halves of tailrace agree on, and the command line over both."""

__version__ = "0.1.0"
