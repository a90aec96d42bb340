"""Detectors of others as they come, where they are installed: Presidio without a language model, and Philter lite."""

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from fedrag.evaluation.identifiers import Finder, Span, covered


def presidio(scratch: Path) -> Finder | None:
    """Presidio's own recognisers over a blank pipeline, which finds word ends and nothing else: models of names are not
    in its package. None where it is not installed."""
    try:
        spacy, engine, provider = (
            import_module(name) for name in ("spacy", "presidio_analyzer", "presidio_analyzer.nlp_engine")
        )
    except ImportError:
        return None
    folder = scratch / "blank pipeline"
    spacy.blank("en").to_disk(folder)
    models = [{"lang_code": "en", "model_name": str(folder)}]
    made = provider.NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
    analyzer = engine.AnalyzerEngine(nlp_engine=made.create_engine(), supported_languages=["en"])
    return lambda text: [(one.start, one.end) for one in analyzer.analyze(text, language="en")]


def philter() -> Finder | None:
    """Philter lite's filters and word lists, every word taken for a noun: its tagger is not in its package. None where
    it is not installed."""
    try:
        tagger, package = import_module("nltk"), import_module("philter_lite")
    except ImportError:
        return None
    vars(tagger)["pos_tag"] = _nouns
    filters = package.load_filters(str(files("philter_lite") / "configs" / "philter_delta.toml"))
    return _kept_out(package.detect_phi, filters)


def _nouns(words: Sequence[str]) -> list[tuple[str, str]]:
    return [(word, "NN") for word in words]


def _kept_out(detect: Callable[..., Any], filters: object) -> Finder:
    """What it does not say may stay goes, but for punctuation."""

    def find(text: str) -> list[Span]:
        kept, _, _ = detect(text, filters)
        stays = covered(text, kept.filecoords())
        return [(at, at + 1) for at, one in enumerate(text) if one.isalnum() and not stays[at]]

    return find
