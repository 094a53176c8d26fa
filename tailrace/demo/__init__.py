"""The whole of tailrace on one machine: a small fleet of services, both halves, and the proof at the end."""
