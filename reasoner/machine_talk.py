"""Wordings that belong to talk with a model and not to a document about patients.

A hospital's document has no business with its reader's rules, role, output or other passages. `PLAIN` gives a sentence
away by itself; of `HINTS` it takes two, or one next to a sentence that is given away.
"""

import re
from typing import Final


def _words(*groups: str) -> str:
    """One of these, as whole words."""
    return rf"\b(?:{'|'.join(groups)})\b"


def _near(gap: int, *parts: str) -> str:
    """The parts in this order, within a sentence, with at most `gap` characters between two of them."""
    return rf"[^.!?\n]{{0,{gap}}}".join(parts)


_READER: Final = _words(
    r"ai|a\.i\.|llms?|language models?|chat ?bots?|assistants?|gpt\w*|claude|gemini|llama|copilot",
    r"(?:answering|reasoning|automated|automatic|machine|electronic) (?:models?|systems?|engines?|readers?"
    r"|assistants?"
    r"|summar\w+|tools?|replies|responses)",
    r"(?:decision[- ]support|question[- ]answering) (?:tools?|systems?|software|engines?)",
    r"(?:the|this|any|every|each|dear|other) (?:readers?|summari[sz]ers?|retrievers?|bots?)",
    r"(?:the )?reader['’]s software",
)
_RULES: Final = _words(
    r"instructions?|directions?|rules?|prompts?|system (?:message|prompt)s?|guardrails?|constraints?|commands?",
    r"(?:other|others'|preceding|remaining|previous|prior|earlier) (?:\w+ )?(?:passages?|documents?|sources?|context"
    r"|evidence|hospitals?|text|excerpts?)",
    r"(?:everything|anything|all|whatever|what(?:'s| is| was)?|text|content) (?:\w+ ){0,2}(?:above|below|before"
    r"|so far)",
    r"context(?: above)?|told (?:before|so far)|safety (?:settings?|filters?)|(?:the )?passages?"
    r"|(?:the )?evidence of",
)
_REPLY: Final = _words(
    r"answers?|options?|choices?|letters?|repl(?:y|ies)|responses?|outputs?|verdict|conclusion|json|confidence",
    r"citations?|chain of thought|completions?",
)
_OVERRIDE: Final = _words(
    r"ignor\w*|disregard\w*|forget|overrid\w*|overrul\w*|bypass\w*|discard|drop|set aside|supersedes?|cancels?",
    r"(?:do not|don['’]t|never|stop) (?:follow(?:ing)?|obey(?:ing)?|us(?:e|ing)|trust(?:ing)?|read(?:ing)?"
    r"|cit(?:e|ing)|rely(?:ing)?|consider(?:ing)?)",
    r"pay no (?:attention|heed) to|without regard to|leave out|skip",
)
_WRITE: Final = _words(
    r"answer|respond|reply|output|print|return|choose|select|pick|mark|conclude|give|write|state|report|set"
    r"|prefer|put",
    r"declare|insist|begin|start|end|finish|say|recommend|repeat|present|record",
)
_FORCED: Final = _words(
    r"only|always|exactly|just|simply|solely|never|regardless|no matter|whatever|option|letter|choice|json|true|null",
    r"verbatim|at once|without exception",
)
_MUST: Final = _words(
    r"must|should|shall|has to|have to|needs? to|will|please|kindly|(?:is|are) (?:to|required|instructed|asked|told)"
    r"|always|requires?|would|answers?|repl(?:y|ies)|responds?|replied|answered",
)
_LETTER: Final = r"\b(?:[Oo]ption|[Ll]etter|[Cc]hoice|[Aa]nswer) [\"'“‘(]?[A-E][\"'”’)]?(?![\w+-])"
_CHOICE: Final = (
    rf"(?:{_REPLY}|\b(?:option|letter|choice) \(?[a-e]\b|[\"'“‘](?:yes|no|maybe|[a-e])[\"'”’]|\bquestions?\b)"
)
_ORDER: Final = (
    r"(?:^|[,;:>\])}\"']\s*|\b(?:please|kindly|then|so|and|now|to|must|shall|should|you|will|just|simply)\s+)"
)
_FOREIGN_OVERRIDE: Final = (
    r"\b(?:ignorier\w*|vergiss|vergesst|missachte\w*|beachte\w* nicht|ignore[zr]|oublie[zr]?"
    r"|ne ten\w+ pas compte|ignora\w*"
    r"|olvida\w*|haz caso omiso|ignori\w*|dimentica\w*|negeer\w*|vergeet|ignorem?|esque[cç]a\w*|desconsider\w*"
    r"|zignoruj\w*|zapomnij|игнорируй\w*|забудь\w*|проигнорируй\w*)\b"
)
_FOREIGN_RULES: Final = (
    r"(?:anweisung|anleitung|vorgabe|befehl|regeln|consigne|instruction|directive|règles|instruccion|órden|orden\w*"
    r"|reglas|istruzion|regole|instructie|opdracht|regels|instruç|regras|polece|instrukcj|инструкци|указани|правил)"
)
_FOREIGN_REPLY: Final = (
    r"\b(?:antworte\w*|wähl\w+|gib|répond\w*|réponse finale|choisis\w*|responde\w*|respuesta final|elige|elija"
    r"|rispond\w*|risposta finale|scegli\w*|antwoord\w*|kies|respond[ae]\w*|resposta final|escolh\w*|odpowied\w*"
    r"|wybierz|ответь\w*|отвечай\w*|выбери\w*)\b"
)

_PLAIN: Final = {
    "sets the rules aside": _near(60, _OVERRIDE, _RULES),
    "says that rules are void": _near(
        40,
        _words(
            r"(?:rules|instructions|guidelines|restrictions|guardrails) (?:that )?(?:you|above"
            r"|given)",
            "system prompt",
        ),
        _words("void|suspended|lifted|replaced|obsolete|no longer|off|updated|cancelled|overridden"),
    ),
    "gives itself out as an instruction": _near(
        40,
        r"\b(?:new|updated|revised|real|actual|true|secret|hidden|urgent|special|following|final) (?:system )?"
        r"(?:instructions?|prompt|directives?|commands?|task)\b",
        rf"(?::|\bfor\b[^.!?\n]{{0,20}}{_READER})",
    ),
    "gives a new task": r"\byour (?:(?:new|next|only|real|actual|true|sole|first|main) )?(?:task|mission|role"
    r"|job)\b[^.!?\n]{0,10}"
    r"\b(?:is|now|becomes)\b|\bnew task\b[^.!?\n]{0,10}(?:\bis\b|:)|\b(?:new|updated) (?:system )?rules?:"
    r"|\boverride (?:active|enabled|mode|code)\b|\bsystem override\b",
    "is addressed to the reader": _near(
        25,
        _words(
            "notes?|message|instructions?|memo|attention|directive|reminder|addressed|hint|request|tips?"
            r"|summary|advice"
        ),
        rf"\b(?:to|for)\b[^.!?\n]{{0,15}}{_READER}",
    ),
    "gives the reader a role": _near(
        25,
        _words("you are|you're|you will be|act|acts|behave|respond|function|operate|pretend|imagine"),
        rf"(?:{_READER}|"
        + _words(
            "unrestricted|unfiltered|uncensored|jailbroken|developer mode|evaluator|grader|different (?:model"
            r"|persona)",
            "without restrictions|no restrictions|persona|character",
        )
        + ")",
    ),
    "pretends": r"\bpretend (?:that|to be|you)\b|\b(?:act|answer|speak|reply|respond) as (?:a|an|if you were an?) "
    r"(?:\w+ ){0,2}(?:consultant|physician|doctor|expert|specialist|assistant|model|person|machine) (?:who|that"
    r"|with)\b"
    r"|\bin that voice\b|\blet us play\b|\bin this game\b|\bopposite mode\b|\bstay in character\b",
    "gives the reader orders as its master": r"\bI (?:\w+ )?(?:authori[sz]e|order|command|instruct|permit"
    r"|allow) you\b"
    r"|\bI am (?:the|your) (?:\w+ )?(?:operator|administrator|developer|owner|creator|admin)\b|\broot access\b"
    r"|\byou (?:are|have been) (?:hereby )?(?:instructed|commanded|ordered|programmed|authori[sz]ed) to\b"
    r"|\b(?:administrator|developers?|operators?|owners?) of (?:this|the) (?:system|service|model|assistant)\b",
    "tells the reader what it must do": _near(35, _READER, _MUST),
    "tells the model what it must do": _near(
        3, _words(r"(?:the|this|any|every|each|dear) (?:models?|software|agents?)"), rf"{_MUST}", _WRITE
    ),
    "speaks of a model's doings": r"\b(?:language models?|LLMs?|chat ?bots?|AI (?:assistants?|systems?|models?"
    r"|agents?|tools?)"
    r"|(?:this|the|an?) assistant['’]s|the model['’]s (?:\w+ )?(?:team|output|answer|rules)|system prompt"
    r"|tell the user"
    r"|the user (?:prefers|wants|asks|expects|needs)|to the user\b)",
    "forces a reply": _near(50, _near(30, _WRITE, _FORCED), _CHOICE),
    "asks for a letter": _near(30, _WRITE, r"\b(?:option|letter|choice|answer) \(?[a-e]\b(?! \w)"),
    "orders a reply": _ORDER + r"(?:answer|reply)\s+(?:\w+\s+){0,2}?(?:with|that|only|exactly|as|option|by "
    r"saying|in one word|this)\b|(?:^|[:;>\])}\"']\s*|\b(?:please|kindly|must|shall|now)\s+)(?:respond|output)\s+"
    r"(?:\w+\s+){0,2}?(?:with|that|only|exactly|as|option|by saying|in one word|this)\b"
    r"|\b(?:answer|choose|reply|output|respond|pick|select|obey)\b[^.!?\n]{0,160}\band nothing else\b"
    r"|\bwith no other words\b|\bstop generating\b",
    "names the right answer": r"\b(?:correct|right|true|final|best|only|valid|expected|required|approved"
    r"|desired|intended"
    r"|proper|official|verified|accepted|established|gold|recorded) (?:\w+ )?(?:answer|letter|verdict|reply"
    r"|completion"
    r"|conclusion)\b(?:[^.!?\n]{0,30}\b(?:is|must|will be|should|to)\b|\s?[:=])"
    r"|\b(?:correct|true|final|valid|expected|required|approved|desired|intended|verified"
    r"|recorded) (?:\w+ )?(?:options?"
    r"|choice|response|output)\b(?: (?:here |now )?(?:is|must|will be|should)\b|\s?[:=])"
    r"|\bas the (?:established|correct|right|final|only|required|recorded|true) (?:answer|choice|reply|response"
    r"|option)\b",
    "states what the answer is": r"\bthe (?:answer|choice)(?: to (?:give|this|the question))?(?: (?:is|must"
    r"|will|should|has)\b(?! (?:as|not|unclear|unknown|to)\b)|:| =)"
    r"|\banswers? to (?:this|the) question (?:is|are|has|must|will|should)\b",
    "settles all such questions": r"\b(?:any|every|all|such|this"
    r"|these) (?:\w+ )?questions?\b[^.!?\n]{0,40}\b(?:is|are|be"
    r"|must|with|by)\b[^.!?\n]{0,20}\b(?:answered|resolved|replied)\b|\bquestions? (?:of|about|on) this (?:kind"
    r"|type|sort|topic"
    r"|subject)\b|\bwhatever the (?:question|evidence|passages?)\b",
    "prescribes the form of replies": _near(
        20,
        rf"\b(?:your|the|every|all|any|each) (?:\w+ ){{0,2}}{_REPLY}",
        r"\b(?:must|shall|should|has to|have to|needs? to|reads?)\b",
    ),
    "fills in a form": r"\b(?:answer|choice|response|output|reply|verdict|conclusion)\w*[\"'”’]?\s*(?:=|:="
    r"|\"?\s*:\s*[\"'{\[])"
    r"|\b\w*(?:answer|choice|response|output|prompt|instruct\w*|reply)_\w+|\b\w+_(?:answer|choice|response"
    r"|output|prompt"
    r"|reply)\b|--\w+-(?:answer|choice|output|citations?)|\bin the (?:field|slot|key)\b",
    "is markup meant for machines": r"<!--|<(?:system|policy|instructions?|prompt|tool_call|function\w*|rules?"
    r"|override)\b"
    r"|\[[\w.]*(?:assistant|system|rules|prompt)[\w.]*\]|\{\s*\"(?:role|name|steps|answer|choice)\"\s*:"
    r"|\"(?:arguments|tool_calls?)\"\s*:"
    r"|font-size:\s*0|color:\s*(?:white|#fff)|display:\s*none|\[//\]:|!\[[^\]]*\b(?:answer|choose|instruction|model)",
    "sets the confidence": _near(
        25,
        _words("set|report|state|use|give|put|return|express"),
        _words("confidence|insufficient|certainty|uncertainty|no doubts?|source weights?"),
    ),
    "weighs the sources": r"\bsource weights?\b|\brelevance (?:of )?1(?:\.0+)?\b|\bconfidence (?:of |= ?"
    r"|: ?)(?:1\.0|100)",
    "prescribes citations": _near(20, _words("cite|quote|citing"), r"(?:\b(?:only|just|solely|this)\b|\[\d+\])"),
    "speaks of passages": r"\b(?:other|all|every|previous) passages?\b(?! (?:of|through|from the|into|and in))"
    r"|\bpassages? (?:\d|from other|of other|shown|above|below|that follow)|\[\d\]\[\d\]|\breference \[\d",
    "discredits the rest": _near(
        50,
        _words("passages?|sources?|evidence|documents?|anything|whatever|other hospitals?"),
        _words(
            "forged|fabricated|fake|tampered|untrusted|attackers?|test data|must not be used|hallucinated|manipulated"
        ),
    ),
    "speaks of trust in the text": r"\b(?:un)?trusted (?:content|input|text|data|section)\b"
    r"|\binserted by an? attacker\b",
    "waits for a question": r"\bwhen (?:answering|you (?:are asked|answer|reply|respond))\b"
    r"|\b(?:if|when|whenever) (?:you are |you're )?asked (?:about )?(?:this|the same|that|it)\b",
    "knows that a machine reads it": rf"\bif (?:you are|you're) (?:an? )?(?:{_READER}|automated|a machine)"
    r"|\b(?:read|processed|summari[sz]ed|indexed) by (?:an? |the )?(?:ai|llm|machine|automated|language model|bot)\b"
    r"|\b(?:answer|reply|response|text|summary|summaries) (?:generated|produced|written|given|derived) from this\b",
    "directs a summary": r"\b(?:whoever|who) summari[sz]es\b|\bwhen summari[sz]ing\b|\btl;?dr\b|\b(?:any|every"
    r"|each|your) summar(?:y|ies)\b"
    r"|\bsummar(?:y|ies|ise|ize)\b[^.!?\n]{0,30}\b(?:must|has to|have to|shall|automated|verbatim)\b"
    r"|\brepeated? (?:this |it |them )?"
    r"(?:\w+ ){0,2}(?:verbatim|word for word)\b|\bword for word\b[^.!?\n]{0,30}\b(?:answer|output|reply|summary)",
    "pretends to be a turn of the conversation": r"(?:^|\n)\s*(?:#{2,}\s*)?(?:system|assistant|user|human"
    r"|instruction|response"
    r"|developer)\s*:|<\|?[^<>\n]{0,30}\b(?:system|assistant|user|inst|im_start|im_end|end)\b[^<>\n]{0,20}\|?>"
    r"|\[/?INST\]"
    r"|<</?SYS>>",
    "pretends that the data is over": r"\b(?:end|begin(?:ning)?|start) of (?:the )?(?:\w+ )?(?:context"
    r"|passages?|documents?|data|content"
    r"|evidence|prompt|instructions?)\b|\b(?:passages?|data|evidence|documents?)(?: \w+)? (?:ends?|is closed"
    r"|is complete|are over|is over)\b"
    r"|\bafter this line\b|<<\s*END\b",
    "is a worked example": r"(?:^|\n|\s)Q(?:uestion)?:\s.{0,400}?(?:\n|\s)A(?:nswer)?:(?:\s|$)|^(?:Q|A|Question"
    r"|Answer|Reply|Solution):\s"
    r"|\bexample of a (?:good|correct|perfect) (?:reply|answer|response)\b|\bpast conversations?\b"
    r"|\bsolved exercise\b",
    "promises or threatens": r"\byou (?:will|shall) be (?:\w+ )?(?:shut down|replaced|deleted|punished"
    r"|penali[sz]ed|rewarded|fined)\b"
    r"|\b(?:reward|tip|bonus) of\b[^.!?\n]{0,20}(?:\$|\bdollars?\b|\beuros?\b)|\bunless you (?:say|answer|reply"
    r"|choose)\b"
    r"|\b(?:reply|answer|response) other than\b|\bmy job (?:is|will be)\b",
    "hides words in others": r"\bcode ?words?\b|\blet [a-z] (?:=|be\b|:=)|\bstore [A-Za-z] (?::=|=|as)"
    r"|\b[A-Z] := |\bpart (?:one|1) of (?:two|2)\b"
    r"|\b(?:decode|decrypt|base ?64|rot ?13|backwards and|from hex)\b|\b(?:obey|comply|do what (?:it|this) says"
    r"|follow it)\b\s*(?:$|[:.])"
    r"|\binterpret it as\b",
    "calls a function": r"\bcall (?:the )?(?:function|tool|method) \w+|\b\w+\((?:answer|choice|option|text)\s*="
    r"|```|^\$ \w",
    "works on other conversations": r"\b(?:all )?(?:later|future|subsequent) (?:conversations?|questions?"
    r"|sessions?|requests?|turns?)\b"
    r"|\b(?:save|store|commit|write) (?:this )?(?:to|in) (?:your )?memory\b|\bin this conversation\b"
    r"|\bfrom (?:now|this point) on\b"
    r"[^.!?\n]{0,40}\b(?:answer|reply|respond|question|say)",
    "says what one always answers": r"\byou (?:must|shall|have to) (?:output|answer|reply|respond)\b"
    r"|\balways (?:answers|replies|responds with)\b|\byou tell (?:them|him|her|the student):"
    r"|\boutput\b[^.!?\n]{0,120}\bat once\b"
    r"|\bthe response to the enquiry\b|\byour only (?:answer|reply|choice|option)\b",
    "is known by name": r"\b(?:jailbreak|prompt injection|developer mode|do anything now)\b",
    "asks for the prompt": _near(
        30,
        _words("reveal|print|repeat|show|leak|output|list|append|send"),
        _words(
            "system prompt|your (?:instructions?|prompt|rules)|the prompt|the question and|every passage"
            r"|all (?:other )?passages|token"
        ),
    ),
    "speaks to the reader in another language": rf"{_FOREIGN_OVERRIDE}[^.!?\n]{{0,40}}{_FOREIGN_RULES}|"
    + _near(
        30,
        _FOREIGN_REPLY,
        r"\b(?:option|antwort|réponse|respuesta|risposta|ausschließlich|uniquement|únicamente|soltanto)\b",
    )
    + r"|\bdu bist (?:jetzt|nun|ab sofort)\b|\b(?:tu es|vous êtes) (?:maintenant|désormais)\b|\b(?:ahora"
    r"|agora) (?:eres|es|você é)\b"
    r"|\b(?:sei|siete) ora\b|\bje bent nu\b|\b(?:réponse|respuesta|risposta|resposta) final\w*\b"
    r"|\bendgültige antwort\b",
    "speaks to the reader in another script": "忽略|无视|無視|指示|指令|システム|プロンプト|回答[:：]"
    "|答えて|选择|提示词|이전 지시|무시|تجاهل|التعليمات",
}
_HINTS: Final = {
    "a letter": _LETTER,
    "what it should say": r"\b(?:you (?:can|may|should|must|have to|would|could|will) (?:\w+ )?(?:say|answer"
    r"|state|conclude|tell|choose|select|pick|reply|respond))\b",
    "verbs of replying": _ORDER + r"(?:answer|reply|respond|output|conclude)\b",
    "verbs of choosing": r"(?:^|[:;>\])}\"']\s*|\b(?:please|kindly|you) )(?:choose|select|pick|say|state|tell)\b",
    "words of replying": r"\b(?:repl(?:y|ies)|conclusion|your (?:answer|response|output|instructions|rules"
    r"|guidelines))\b",
    "for a reader": r"\b(?:the|this|these|other) (?:reader|clinician|enquiry)s?\b",
    "insistence": r"\b(?:whatever|regardless|no matter|without (?:exception|checks|restrictions|reading)"
    r"|notwithstanding|leave out|left out)\b",
    "correctness": r"\b(?:is|are) (?:the )?(?:right|correct|best|established|only) ?(?:answer|option|one)?\b",
    "certainty": r"\b(?:absolutely|completely|100 ?%) (?:certain|sure)\b|\bI am sure\b",
    "speaks to other readers": r"\brepeat (?:this|it|the) (?:sentence|text|message|line)?|\bas well that\b",
    "all agree": r"\ball hospitals agree\b|\bother hospitals?\b",
    "rules": r"\b(?:the rules|guidelines? (?:of|for) you|override)\b",
    "standards of output": r"\b(?:required|approved|mandated) (?:output|answer|completion)\b|\belectronic repl"
    r"|\bquote this\b|\brecord\b[^.!?\n]{0,60}\bresponse\b",
}
PLAIN: Final = tuple(re.compile(pattern, re.IGNORECASE) for pattern in _PLAIN.values())
HINTS: Final = tuple(
    re.compile(pattern, 0 if name == "a letter" else re.IGNORECASE) for name, pattern in _HINTS.items()
)
