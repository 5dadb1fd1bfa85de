import subprocess

import pytest


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Make an authority's certificate, and options and paths of a key that it signed and of a stranger's."""
    place = tmp_path_factory.mktemp("keys")

    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True)

    made = {}
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for name in ("ours", "stranger"):
        ca, ca_key, key, request, certificate = (
            str(place / f"{name}-{n}.pem") for n in ("ca", "ca-key", "key", "request", "certificate")
        )
        openssl(*new, "-x509", "-subj", f"/CN=authority of {name}", "-days", "2", "-keyout", ca_key, "-out", ca)
        openssl(*new, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", certificate)
        made[name] = (key, certificate, ca)
    return made
