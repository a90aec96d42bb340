"""Three hospitals and a coordinator in containers, as shipped: joined, looked into, paused, killed, brought back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.docker
@pytest.mark.timeout(1_800)
@pytest.mark.skipif("FEDRAG_DOCKER" not in os.environ, reason="the container drill takes minutes: set FEDRAG_DOCKER=1")
def test_the_container_drill(engine, base_image) -> None:
    """docker/drill, from the images' build to the last revocation; its steps say what they found."""
    command = [sys.executable, str(ROOT / "docker" / "drill"), "--base-image", base_image, "--offline"]
    done = subprocess.run(command, env=engine, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    assert "everything holds" in done.stdout
