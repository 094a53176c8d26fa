"""Kafka's Heartbeat request, version 3, which also tells the member's own name (KIP-345); aiokafka speaks version 1.

https://kafka.apache.org/protocol#The_Messages_Heartbeat
"""

from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Int16, Int32, Schema, String

FENCED = 82
"""FENCED_INSTANCE_ID: another has joined with the same name since."""


class _HeartbeatResponse(Response):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = 12
    API_VERSION = 3
    SCHEMA = Schema(("throttle_time_ms", Int32), ("error_code", Int16))


class _HeartbeatRequest(RequestStruct):  # type: ignore[misc]
    API_KEY = 12
    API_VERSION = 3
    RESPONSE_TYPE = _HeartbeatResponse
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("generation_id", Int32),
        ("member_id", String("utf-8")),
        ("group_instance_id", String("utf-8")),
    )


class StaticHeartbeat(Request[_HeartbeatRequest]):  # type: ignore[misc]
    """Asks whether the group still knows a member by its name."""

    API_KEY = 12

    def __init__(self, group: str, generation: int, member_id: str, name: str) -> None:
        self._values = (group, generation, member_id, name)

    def build(self, request_struct_class: Any) -> Any:  # noqa: ANN401 - as above
        """The request as it is sent."""
        return request_struct_class(*self._values)
