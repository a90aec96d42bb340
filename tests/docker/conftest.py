"""A Docker engine: the one that runs, or, for root with Debian's engine installed, one of our own in its own
network."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

NAMESPACE = "fedrag-drill"


def _answers(environment: dict[str, str]) -> bool:
    if shutil.which("docker") is None:
        return False
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    return subprocess.run(command, env=environment, capture_output=True, check=False, timeout=30).returncode == 0


@pytest.fixture(scope="session")
def engine(tmp_path_factory) -> Iterator[dict[str, str]]:
    """The environment in which `docker` finds an engine."""
    found = dict(os.environ)
    if _answers(found):
        yield found
        return
    if os.geteuid() != 0 or not all(map(shutil.which, ("dockerd", "nsenter", "ip"))):
        pytest.skip("no Docker engine answers, and none can be started here")
    folder = tmp_path_factory.mktemp("engine")
    found |= {"DOCKER_HOST": f"unix://{folder}/socket", "PATH": f"/usr/bin:{found['PATH']}"}
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    subprocess.run(["ip", "-n", NAMESPACE, "link", "set", "lo", "up"], check=True)
    options = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
    options += ["--host", found["DOCKER_HOST"], "--default-ulimit", "nofile=1024:1024"]
    with (folder / "log").open("w") as log:
        daemon = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{NAMESPACE}", "dockerd", *options], stdout=log, stderr=log
        )
    try:
        for _ in range(60):
            if _answers(found):
                break
            time.sleep(1)
        else:
            pytest.skip(f"dockerd does not start here: {(folder / 'log').read_text()[-300:]}")
        yield found
    finally:
        daemon.terminate()
        daemon.wait(60)
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=False)


@pytest.fixture(scope="session")
def base_image(engine, tmp_path_factory) -> str:
    """FEDRAG_BASE_IMAGE, or a Debian with Python made by debootstrap; the usual one where there is no debootstrap."""
    if given := os.environ.get("FEDRAG_BASE_IMAGE"):
        return given
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        return "python:3.11-slim"
    root = tmp_path_factory.mktemp("base") / "root"
    packages = "--include=python3,python3-venv,ca-certificates"
    subprocess.run(
        ["debootstrap", "--variant=minbase", packages, "bookworm", str(root)], check=True, capture_output=True
    )
    for unneeded in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(Path(root) / unneeded, ignore_errors=True)
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as archive:
        command = ["docker", "import", "-", "fedrag-base:bookworm"]
        subprocess.run(command, stdin=archive.stdout, env=engine, check=True, capture_output=True)
    return "fedrag-base:bookworm"
