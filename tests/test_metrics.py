"""What Prometheus reads from a program."""

import socket
import urllib.request

import pytest

from tailrace import metrics


@pytest.mark.parametrize(("program", "other"), [("shipper", "indexer"), ("indexer", "shipper")])
def test_a_program_shows_its_own_metrics_and_those_of_its_process(program: str, other: str) -> None:
    """Those of the other, all 0, would say of a host that is behind that it is not."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    metrics.serve(address, program)
    for ask in ("", f"?name[]=tailrace_{program}_{'sources' if program == 'shipper' else 'blocked'}"):
        with urllib.request.urlopen(f"http://{address}/metrics{ask}") as answer:
            text = answer.read().decode()
        assert f"\ntailrace_{program}_" in text
        assert f"tailrace_{other}_" not in text
        assert ("process_start_time_seconds" in text, "python_info" in text) == (not ask, not ask)
