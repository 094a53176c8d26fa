"""A real Kafka and a real Elasticsearch on this machine, from jars: for the demo, the tests and first steps."""

from tailrace.stack.folder import Running, Server, Stack, State, default_folder
from tailrace.stack.record import Name

__all__ = ["Name", "Running", "Server", "Stack", "State", "default_folder"]
