"""Certificates that only a test trusts."""

import shutil
import subprocess

import pytest


def make_certificates(folder):
    """A certificate authority, and a server certificate of 127.0.0.1 that it signed."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")

    def openssl(*arguments):
        subprocess.run(
            ["openssl", *arguments], check=True, capture_output=True, cwd=folder
        )

    key = ("-newkey", "rsa:2048", "-nodes", "-days", "2")
    openssl(
        "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca"
    )
    openssl("req", *key, "-keyout", "key.pem", "-out", "req.pem", "-subj", "/CN=broker")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
    names = ("-extfile", "names")
    openssl("x509", "-req", "-in", "req.pem", *signing, "-out", "cert.pem", *names)
