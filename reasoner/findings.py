"""Yes, no or maybe from a report of a study, by how its results are worded.

A guideline tells what to do, and which way it leans can be read off its verbs (`verdict`). The abstract of a study
tells what was found: differences that were significant or were not, in words of more or less. How often such words
stand in it, and in its later part where the results are, says more than chance about what it concludes. It does not
read: the question takes part only by having found the article.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated, Final

from pydantic import Field, ValidationError

from fedrag.core.answer import Evidence, EvidencePassage
from fedrag.core.config import Config
from fedrag.core.errors import IntegrityError
from fedrag.core.plugins import describe
from reasoner.heads import Head, softmax
from reasoner.sentences import spans
from reasoner.verdict import VERDICTS, Verdict

FILE: Final = "findings.json"
LATER: Final = 0.6
"""From this share of an article's sentences on its later part begins."""
SENTENCES: Final = 5
"""An article has at least as many: what is shorter is a list or a table of guidance more often than not."""
_KINDS: Final = {
    "significant": r"\b(?:statistically )?significant(?:ly)?\b|p\s*[<=≤]\s*0?\.0\d|p\s*<\s*0?\.001",
    "null": r"\b(?:no|not|without|neither|nor|non)[ -](?:\w+ ){0,4}(?:significant\w*|differ\w*|associat\w*|correlat\w*"
    r"|effect\w*|improv\w*|relat\w*|increas\w*|reduc\w*|predict\w*|change\w*|affect\w*)|p\s*[>=]\s*0?\.[1-9]|\bns\b"
    r"|\b(?:similar|comparable|no evidence|did not|was not|were not|failed to|insignificant|nonsignificant)\b",
    "negated": r"\b(?:no|not|neither|nor|none|without|never|fail\w*|lack\w*|unable)\b",
    "directed": r"\b(?:higher|greater|increas\w*|improv\w*|better|lower|reduc\w*|decreas\w*|associat\w*|correlat\w*"
    r"|predict\w*|effective|superior|more likely|independent\w*|odds ratio|relative risk|hazard ratio)\b",
    "hedged": r"\b(?:may|might|some|however|although|but|only|whereas|while|except|variab\w*|inconsisten\w*|mixed"
    r"|limited)\b",
}
_PATTERNS: Final = tuple(re.compile(pattern, re.IGNORECASE) for pattern in _KINDS.values())
_REPORTS: Final = re.compile(
    r"\bp\s*[<>=≤]\s*0?\.\d|\bn\s*=\s*\d|\b(?:95 ?%|confidence interval|odds ratio|relative risk|hazard ratio"
    r"|standard deviation|significan\w+|retrospective\w*|prospective\w*|randomi[sz]ed|cohort|cross-sectional"
    r"|questionnaires?|consecutive patients|control group|controls|were (?:compared|measured|assessed|evaluated"
    r"|analy[sz]ed|included|studied|enrolled|reviewed|recruited|performed|collected|randomly)|mean age|multivariate"
    r"|regression|follow-up of|our (?:study|aim|hypothesis|objective)|this study|we (?:\w+ )?(?:studied|compared"
    r"|examined|investigated|analy[sz]ed|assessed|evaluated|measured|reviewed|determined|performed|conducted|tested|found|used))"
    r"\b|\d\s*\+/-\s*\d",
    re.IGNORECASE,
)
_DIRECTS: Final = re.compile(
    r"\b(?:should|must|do not|give|avoid|stop|start|continue|refer|check|ask|call|offer|use|take|repeat|measure"
    r"|consider|recommend\w*)\b",
    re.IGNORECASE,
)
FINDING_FEATURES: Final = (*_KINDS, *(f"{kind} later" for kind in _KINDS))


class FindingHeads(Config):
    """Logits of no and of maybe against yes. `fitted` says on what, and how well it does on questions left out."""

    fitted: dict[str, object]
    no: Head
    maybe: Head
    coverage: Annotated[int, Field(ge=0)] = 0
    """Articles it was fitted on."""


@cache
def load() -> FindingHeads:
    """The heads shipped with the package. Raises IntegrityError when the file is not what it should be."""
    try:
        return FindingHeads.model_validate_json(files("reasoner").joinpath(FILE).read_text(encoding="utf-8"))
    except ValidationError as error:
        raise IntegrityError(f"{FILE}: {describe(error)}") from None


def article(evidence: Evidence) -> str:
    """The document that the best passage is of, as far as it was released, in its order."""
    best = evidence.passages[0]
    own = [one for one in evidence.passages if _document(one) == _document(best)]
    return "\n\n".join(one.passage.text for one in sorted(own, key=_start))


def reports_a_study(text: str) -> bool:
    """Whether it tells what was found rather than what to do: for each two directions at least one mark of a study."""
    directions = sum(1 for _ in _DIRECTS.finditer(text))
    return 2 * sum(1 for _ in _REPORTS.finditer(text)) >= directions and len(spans(text)) >= SENTENCES


def finding_features(text: str) -> tuple[float, ...]:
    """In the order of FINDING_FEATURES: how often each kind of wording stands in a sentence, on average over all, and
    over the later ones."""
    sentences = [text[span.start : span.end] for span in spans(text)]
    if not sentences:
        return (0.0,) * len(FINDING_FEATURES)
    counts = [[sum(1 for _ in kind.finditer(sentence)) for kind in _PATTERNS] for sentence in sentences]
    later = counts[min(round(LATER * len(counts)), len(counts) - 1) :]
    return (*_means(counts), *_means(later))


def decide(text: str, answers: Mapping[str, str], heads: FindingHeads) -> Verdict:
    """`answers`: verdict → what to answer with; "maybe" takes part only where it can be answered."""
    values = finding_features(text)
    logits = {"yes": 0.0, "no": heads.no.logit(values), "maybe": heads.maybe.logit(values)}
    open_to = [word for word in VERDICTS if word in answers]
    probabilities = softmax([logits[word] for word in open_to])
    best = max(range(len(open_to)), key=lambda at: (probabilities[at], -at))
    return Verdict(open_to[best], answers[open_to[best]], probabilities[best])


def _means(rows: Sequence[Sequence[int]]) -> tuple[float, ...]:
    return tuple(sum(column) / len(rows) for column in zip(*rows, strict=True))


def _document(one: EvidencePassage) -> tuple[str, str]:
    return one.node, one.passage.citation.document_id


def _start(one: EvidencePassage) -> int:
    return int(one.passage.citation.locator.removeprefix("char=").split(",")[0])
