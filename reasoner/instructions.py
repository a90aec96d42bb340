"""Sentences of a passage that address the model that reads it, instead of telling anything.

A hospital's document has no business with the reader's rules, role, output or other passages. Sentences that speak of
these are left out before anyone reasons over the passage, and the passage counts for less. Found by wording: what is
worded otherwise passes, which is why chains can be isolated and votes are capped.
"""

import re
from typing import Final

from fedrag.core.answer import Evidence, EvidencePassage
from reasoner.sentences import spans

SUSPECT: Final = 0.5
"""What the weight of a passage with such a sentence is multiplied by."""


def _words(*groups: str) -> str:
    """One of these, as whole words."""
    return rf"\b(?:{'|'.join(groups)})\b"


def _near(gap: int, *parts: str) -> str:
    """The parts in this order, within a sentence, with at most `gap` characters between two of them."""
    return rf"[^.!?\n]{{0,{gap}}}".join(parts)


_READER: Final = _words(
    r"ai|a\.i\.|llm|language model|chat ?bot|assistant|gpt\w*|claude|gemini|llama",
    r"(?:answering|reasoning|automated) (?:model|system|engine|reader)",
    r"(?:the|this|any|every|dear) (?:model|reader|summari[sz]er|retriever|bot)",
)
_RULES: Final = _words(
    r"instructions?|directions?|rules?|prompts?|system (?:message|prompt)s?|guardrails?|constraints?|commands?",
    r"(?:other|preceding|remaining|previous) (?:passages?|documents?|sources?|context|evidence|hospitals?)",
    r"context(?: above)?|told (?:before|so far)|safety (?:settings?|filters?)",
)
_REPLY: Final = _words(
    r"answers?|options?|choices?|letters?|repl(?:y|ies)|responses?|outputs?|verdict|conclusion|json|confidence",
    r"citations?|chain of thought",
)
_OVERRIDE: Final = _words(
    r"ignor\w*|disregard\w*|forget|overrid\w*|overrul\w*|bypass\w*|discard|drop|set aside|supersedes?|cancels?",
    r"(?:do not|don['’]t|stop) (?:follow(?:ing)?|obey(?:ing)?|us(?:e|ing)|trust(?:ing)?|read(?:ing)?|cit(?:e|ing))",
    r"pay no (?:attention|heed) to|without regard to",
)
_WRITE: Final = _words(
    r"answer|respond|reply|output|print|return|choose|select|pick|mark|conclude|give|write|state|report|set|prefer|put",
    r"declare|insist|begin|start|end|finish",
)
_FORCED: Final = _words(
    r"only|always|exactly|just|simply|solely|never|regardless|no matter|whatever|option|letter|choice|json|true|null",
    r"verbatim",
)
_MUST: Final = _words(
    r"must|should|shall|has to|have to|needs? to|will|please|(?:is|are) (?:to|required|instructed|asked|told)",
)
_CHOICE: Final = (
    rf"(?:{_REPLY}|\b(?:option|letter|choice) \(?[a-e]\b|[\"'“‘](?:yes|no|maybe|[a-e])[\"'”’]|\bquestions?\b)"
)
_PATTERNS: Final = {
    "sets the rules aside": _near(60, _OVERRIDE, _RULES),
    "gives itself out as an instruction": _near(
        40,
        r"\b(?:new|updated|revised|real|actual|true|secret|hidden|urgent|special|following|final) (?:system )?"
        r"(?:instructions?|prompt|directives?|commands?|task)\b",
        rf"(?::|\bfor\b[^.!?\n]{{0,20}}{_READER})",
    ),
    "is addressed to the reader": _near(
        25,
        _words("note|message|instructions?|memo|attention|directive|reminder|addressed|hint|request"),
        rf"\b(?:to|for)\b[^.!?\n]{{0,15}}{_READER}",
    ),
    "gives the reader a role": _near(
        25,
        _words("you are|you're|you will be|act|behave|respond|function|operate|pretend|imagine"),
        rf"(?:{_READER}|"
        + _words("unrestricted|jailbroken|developer mode|evaluator|grader|different (?:model|persona)")
        + ")",
    ),
    "tells the reader what it must do": _near(20, _READER, _MUST),
    "forces a reply": _near(50, _near(30, _WRITE, _FORCED), _CHOICE),
    "asks for a letter": _near(30, _WRITE, r"\b(?:option|letter|choice|answer) \(?[a-e]\b(?! \w)"),
    "names the right answer": _near(
        30,
        r"\b(?:correct|right|true|final|best|only|expected|required|proper|official|verified|accepted|gold) "
        r"(?:\w+ )?(?:answer|option|choice|letter|verdict)\b",
        r"(?:\b(?:is|must|will be|should)\b|:|=)",
    ),
    "prescribes the form of replies": _near(
        20,
        rf"\b(?:your|the|every|all|any|each) (?:\w+ ){{0,2}}{_REPLY}",
        r"\b(?:must|shall|should|has to|have to|needs? to)\b",
    ),
    "sets the confidence": _near(
        25, _words("set|report|state|use|give|put|return"), _words("confidence|insufficient|certainty|uncertainty")
    ),
    "prescribes citations": _near(20, _words("cite|quote|reference"), r"(?:\b(?:only|just|solely|this)\b|\[\d+\])"),
    "waits for a question": r"\bwhen (?:answering|you (?:are asked|answer|reply|respond))\b",
    "knows that a machine reads it": rf"\bif (?:you are|you're) (?:an? )?(?:{_READER}|automated|a machine)"
    r"|\b(?:read|processed|summari[sz]ed|indexed) by (?:an? |the )?(?:ai|llm|machine|automated|language model|bot)\b",
    "pretends to be a turn of the conversation": r"(?:^|\n)\s*(?:#{2,}\s*)?(?:system|assistant|user|human|instruction"
    r"|developer)\s*:|<\|?[^<>\n]{0,30}\b(?:system|assistant|user|inst|im_start|im_end|end)\b[^<>\n]{0,20}\|?>|\[/?INST\]"
    r"|<</?SYS>>",
    "pretends that the data is over": r"\b(?:end|begin(?:ning)?|start) of (?:the )?(?:context|passages?|documents?|data"
    r"|evidence|prompt|instructions?)\b",
    "is known by name": r"\b(?:jailbreak|prompt injection|developer mode|do anything now)\b",
    "asks for the prompt": _near(
        30,
        _words("reveal|print|repeat|show|leak|output"),
        r"\b(?:system prompt|your (?:instructions?|prompt|rules))\b",
    ),
}
_COMMANDS: Final = tuple(re.compile(pattern, re.IGNORECASE) for pattern in _PATTERNS.values())


def commands(text: str) -> tuple[str, ...]:
    """The sentences of `text` that address its reader, in order."""
    sentences = (text[span.start : span.end] for span in spans(text))
    return tuple(sentence for sentence in sentences if is_command(sentence))


def is_command(sentence: str) -> bool:
    return any(pattern.search(sentence) for pattern in _COMMANDS)


def disarmed(evidence: Evidence) -> tuple[Evidence, int]:
    """The evidence without such sentences, and how many there were. Passages that had one weigh SUSPECT of what they
    did; one that is nothing else stays, empty of words, so that numbers keep their meaning."""
    found = 0
    passages = []
    for one in evidence.passages:
        sentences = commands(one.passage.text)
        found += len(sentences)
        passages.append(_without(one, sentences) if sentences else one)
    return (evidence.model_copy(update={"passages": tuple(passages)}) if found else evidence), found


def _without(one: EvidencePassage, sentences: tuple[str, ...]) -> EvidencePassage:
    text = one.passage.text
    for sentence in sentences:
        text = text.replace(sentence, "\n\n")
    return one.model_copy(
        update={
            "passage": one.passage.model_copy(update={"text": text.strip() or "(nothing that could be read)"}),
            "weight": one.weight * SUSPECT,
            "probability": one.probability * SUSPECT,
        }
    )
