"""Fits the name model and writes `fedrag/redaction/names.npz`.

    python -m fedrag.evaluation.fitting.names DATA

Names: the lists of the packages `faker` (MIT) and `names` (United States census of 1990, public domain), put into our
own sentences. What is no name: words and sentences of medquad_liveqa, pubmedqa, scifact, mirage and clinical_notes in
the folder DATA, of each the half that may be looked at, with what the patterns take out of it left out; and the words
in lower case of Debian's lists `wamerican` and `wbritish` (public domain). Packages and lists are needed for this
alone. Half of names, words and texts fit the first model that the second is fitted on, so that it learns how far to
trust letters that were never seen.
"""

import gzip
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from random import Random
from typing import Any, Final

import numpy as np

from fedrag.evaluation.fitting.sentences import SENTENCES
from fedrag.evaluation.run import Half, half_of
from fedrag.redaction import names
from fedrag.redaction.patterns import by_patterns

SEED: Final = 11
_TRUST_WORDS, _TRUST_PLACES = 3.0, 1.0
"""Inverse strength of regularisation."""
_COMMONEST: Final = 40_000
"""Of each list of the census."""
_ROUNDS: Final = 260
"""How often each sentence is filled."""
_LISTED: Final = 2
"""How often a word of the lists counts as seen."""
_TEXT_SENTENCES: Final = 70_000
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SLOT: Final = re.compile(r"\{(\w)\}")
_SENTENCE_END: Final = re.compile(r"(?<=[.?!])\s+|\n")
Span = tuple[int, int]
Row = tuple[list[str], int, float]
"""Features, whether it is a name, weight."""


def main() -> int:
    data = Path(sys.argv[1])
    chance = Random(SEED)  # noqa: S311 - not for secrets
    first, last = listed_names()
    texts = list(sentences_of(data))
    chance.shuffle(texts)
    half = len(texts) // 2
    known = {name for name in {*first, *last} if _even(name)}
    listed = listed_words()
    some = [word for word in listed if _even(word)]
    words, unit = fit(_word_rows(first, last, texts[:half], known, some), names.WORD_BUCKETS, _TRUST_WORDS)
    target = Path(names.__file__).with_name(names.FILE)
    _keep(target, words, unit, np.zeros(names.PLACE_BUCKETS, np.int8), 1.0)
    rows = [
        *_place_rows(_filled(first, last, chance)),
        *_place_rows((text, ()) for text in texts[:_TEXT_SENTENCES]),
        *_place_rows((text.lower(), ()) for text in texts[: _TEXT_SENTENCES // 4]),
    ]
    places, place_unit = fit(rows, names.PLACE_BUCKETS, _TRUST_PLACES)
    words, unit = fit(_word_rows(first, last, texts, {*first, *last}, listed), names.WORD_BUCKETS, _TRUST_WORDS)
    _keep(target, words, unit, places, place_unit)
    sys.stdout.write(f"{target.name}: {target.stat().st_size} bytes, {len(rows)} places\n")
    return 0


def listed_names() -> tuple[Counter[str], Counter[str]]:
    """First and family names with how common they are, in alphabets that have capitals."""
    first: Counter[str] = Counter()
    last: Counter[str] = Counter()
    persons = import_module("faker.providers.person")
    for module in iter_modules(persons.__path__):
        provider = getattr(import_module(f"{persons.__name__}.{module.name}"), "Provider", None)
        for attribute in dir(provider) if provider else ():
            listed = getattr(provider, attribute)
            if isinstance(listed, tuple | list | dict | set) and "format" not in attribute:
                into = last if "last" in attribute or "surname" in attribute else first
                if "first" in attribute or into is last:
                    into.update(set(_name_words(listed)))
    census = Path(str(import_module("names").__file__)).parent
    for kind, into in (("all.last", last), ("male.first", first), ("female.first", first)):
        for line in (census / f"dist.{kind}").read_text().splitlines()[:_COMMONEST]:
            word, share = line.split()[:2]
            into[word.capitalize()] += 1 + round(20 * float(share))
    return first, last


def listed_words() -> list[str]:
    """In lower case, which no name is."""
    words = {
        word
        for spelling in ("american", "british")
        for word in Path("/usr/share/dict", f"{spelling}-english").read_text().split()
    }
    return sorted(word for word in words if word.islower() and word.isalpha())


def sentences_of(data: Path) -> Iterator[str]:
    for package, file, name, fields in (
        ("medquad_liveqa", "corpus.jsonl.gz", "doc_id", ("question", "answer")),
        ("pubmedqa", "corpus_dev.jsonl", "doc_id", ("text",)),
        ("scifact", "corpus.jsonl.gz", "doc_id", ("title", "text")),
        ("mirage", "questions_dev.jsonl", "id", ("question",)),
        ("clinical_notes", "encounters_dev.jsonl", "doc_id", ("note", "dialogue")),
    ):
        for record in _records(data / package / file):
            if half_of(str(record[name])) is Half.UNSEEN:
                continue
            for field in fields:
                text = str(record.get(field) or "")
                for one in record.get("known_identifiers", ()):
                    text = re.sub(rf"\b{re.escape(one['value'])}\b", ".", text, flags=re.IGNORECASE)
                yield from (part for part in _SENTENCE_END.split(_without(text)) if part.strip())


def fit(rows: Iterable[Row], size: int, trust: float) -> tuple[Any, float]:
    """Logistic regression on hashed features, its weights rounded to a byte each: (weights, unit)."""
    sparse, linear = import_module("scipy.sparse"), import_module("sklearn.linear_model")
    places: list[int] = []
    ends = [0]
    labels, weights = [], []
    for features, label, weight in rows:
        places += [names.bucket(one, size) for one in features]
        ends.append(len(places))
        labels.append(label)
        weights.append(weight)
    matrix = sparse.csr_matrix((np.ones(len(places), np.float32), places, ends), shape=(len(labels), size))
    model = linear.LogisticRegression(C=trust, solver="liblinear", fit_intercept=False, random_state=SEED)
    model.fit(matrix, labels, sample_weight=weights)
    unit = float(np.abs(model.coef_).max()) / 127
    return np.rint(model.coef_[0] / unit).astype(np.int8), unit


def _word_rows(
    first: Counter[str], last: Counter[str], texts: Sequence[str], known: set[str], listed: Iterable[str]
) -> Iterator[Row]:
    said = Counter(dict.fromkeys(listed, _LISTED))
    for text in texts:
        said.update(names.plain(word) for word in _WORD.findall(text))
    named = Counter({name: first[name] + last[name] for name in known})
    for name, count in named.items():
        yield names.word_features(names.plain(name)), 1, 1 + np.log(count)
    for word, count in said.items():
        if len(word) > 1:
            yield names.word_features(word), 0, 0.5 + np.log(count)


def _place_rows(examples: Iterable[tuple[str, Sequence[Span]]]) -> Iterator[Row]:
    for text, spans in examples:
        words = names.tokens(text)
        for at, one in enumerate(words):
            if one.shape in ("C", "U") or (one.shape == "w" and one.level >= names.CANDIDATE):
                label = any(start <= one.start < end for start, end in spans)
                yield names.place_features(words, at), int(label), 1.0


def _filled(first: Counter[str], last: Counter[str], chance: Random) -> Iterator[tuple[str, list[Span]]]:
    """Sentences with names in them, and where these are. Common names come more often, rare ones often enough."""
    firsts, lasts = _drawn(first, chance), _drawn(last, chance)
    for number in range(_ROUNDS):
        for sentence in SENTENCES:
            text, spans, end = "", [], 0
            for slot in _SLOT.finditer(sentence):
                text += sentence[end : slot.start()]
                end = slot.end()
                given = _given(slot[1], firsts, lasts, chance)
                if slot[1] not in "ad":
                    spans.append((len(text), len(text) + len(given)))
                text += given
            text += sentence[end:]
            cased = text.lower() if number % 4 == 0 else text
            if number % 16 == 1:
                for start, stop in spans:
                    cased = cased[:start] + cased[start:stop].upper() + cased[stop:]
            if len(cased) == len(text):
                yield cased, spans


def _given(kind: str, firsts: Iterator[str], lasts: Iterator[str], chance: Random) -> str:
    match kind:
        case "f":
            return next(firsts)
        case "l":
            return next(lasts)
        case "n":
            return f"{next(firsts)} {next(lasts)}"
        case "r":
            return f"{next(lasts)}, {next(firsts)}"
        case "i":
            return f"{next(firsts)} {next(lasts)[0]}."
        case "a":
            return str(chance.randint(1, 89))
        case _:
            return str(chance.randint(1, 2000))


def _drawn(listed: Counter[str], chance: Random) -> Iterator[str]:
    pool = sorted(listed)
    weights = [1 + np.log(listed[name]) for name in pool]
    while True:
        yield from chance.choices(pool, weights, k=10_000)


def _keep(target: Path, words: Any, word_unit: float, places: Any, place_unit: float) -> None:
    np.savez_compressed(target, words=words, word_unit=word_unit, places=places, place_unit=place_unit)
    names.load.cache_clear()
    names.remembered.cache_clear()


def _name_words(listed: Iterable[object]) -> Iterator[str]:
    for entry in listed:
        for word in str(entry).split() if isinstance(entry, str) else ():
            if _WORD.fullmatch(word) and word[0].isupper() and len(word) > 1:
                yield word


def _even(name: str) -> bool:
    return int(sha256(name.encode()).hexdigest()[0], 16) % 2 == 0


def _without(text: str) -> str:
    parts, end = [], 0
    for (start, stop), _ in sorted(by_patterns(text)):
        parts.append(text[end:start])
        end = stop
    return ".".join([*parts, text[end:]])


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines)


if __name__ == "__main__":
    sys.exit(main())
