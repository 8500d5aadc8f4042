"""`grandstand up` with a certificate: every HTTP process speaks HTTPS, and the tree knows that they are ready."""

import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.server import end, start_up


def test_up_speaks_https(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=localhost", "-days", "2", "-keyout", str(key), "-out", str(cert)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl makes the certificate")
    environment = {"GRANDSTAND_TLS_CERT_FILE": str(cert), "GRANDSTAND_TLS_KEY_FILE": str(key)}
    server = start_up(tmp_path / "data", environment=environment)
    try:
        assert server.url.startswith("https://")
        with httpx.Client(verify=False, timeout=30) as client:
            answer = client.get(f"{server.url}/api/leaderboards/global")
        assert answer.status_code == 200
        assert "strict-transport-security" in answer.headers
        with pytest.raises(httpx.RemoteProtocolError), httpx.Client(timeout=30) as plain:
            plain.get(server.url.replace("https://", "http://"))
    finally:
        end(server)
