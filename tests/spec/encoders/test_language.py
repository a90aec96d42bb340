"""Which language a question is in: English is never mistaken, others are found."""

import subprocess
import sys

import pytest

from fedrag.encoders.language import LEAST_PROBABILITY, detect

ENGLISH = """
What is the dose of amoxicillin for otitis media?
amoxicillin dose otitis media child
Metformin in CKD stage 4?
HbA1c target elderly?
Warfarin and amiodarone interaction
Apixaban vs rivaroxaban in AF
CHA2DS2-VASc 4, which DOAC?
Treatment of DKA
Pre-eclampsia magnesium sulfate dose
Pneumocystis prophylaxis co-trimoxazole
Helicobacter pylori eradication regimen
Lithium toxicity signs
Myasthenia gravis crisis
COPD exacerbation antibiotics
MRSA bacteraemia duration
Septic arthritis empirical antibiotics
Hyponatremia correction rate
Hyperkalaemia management
Herpes zoster ophthalmicus aciclovir
Lupus nephritis mycophenolate
Guillain-Barre syndrome IVIG
Temporal arteritis urgent steroids?
Diabetes insipidus desmopressin
Cauda equina syndrome MRI
Vitamin D deficiency dose
Cellulitis oral flucloxacillin
Placenta praevia delivery
Kawasaki disease aspirin IVIG
Melanoma in situ margins
Statin intolerance ezetimibe
Nitrofurantoin eGFR 40
Tirzepatide vs semaglutide
Dabigatran reversal idarucizumab
Isotretinoin monitoring LFT
Serotonin syndrome tramadol sertraline
Post-op ileus
NSTEMI
TSH 12, T4 normal, treat?
""".strip().splitlines()

OTHERS = {
    "es": ("¿Cuál es la dosis de amoxicilina para la otitis media?", "Efectos secundarios de la warfarina"),
    "de": ("Wann muss Metformin bei Niereninsuffizienz abgesetzt werden?", "Nebenwirkungen von Marcumar"),
    "fr": ("L'ibuprofène est-il sûr pendant la grossesse ?", "prise en charge du choc septique"),
    "tr": ("Böbrek yetmezliğinde metformin ne zaman kesilmeli?", "Yüksek tansiyon nasıl tedavi edilir?"),
    "pl": ("Czy ibuprofen jest bezpieczny w ciąży?", "Działania niepożądane warfaryny"),
    "ar": ("ما هي جرعة الأموكسيسيلين لالتهاب الأذن الوسطى؟",),
    "zh": ("阿莫西林治疗中耳炎的儿童剂量是多少，应该用几天？",),
    "ru": ("Какая доза амоксициллина при отите у ребёнка?",),
}


@pytest.mark.parametrize("question", ENGLISH)
def test_a_short_english_question_is_never_taken_for_another_language(question) -> None:
    """Drug names look Latin; a false notice on an ordinary question is worse than a missed one."""
    detected = detect(question)
    assert detected is None or detected[0] == "en"


@pytest.mark.parametrize(("language", "question"), [(key, text) for key, texts in OTHERS.items() for text in texts])
def test_other_languages_are_recognised(language, question) -> None:
    """Written by hand in each language."""
    detected = detect(question)
    assert detected is not None
    assert detected[0] == language
    assert LEAST_PROBABILITY <= detected[1] <= 1


@pytest.mark.parametrize("text", ["", "?", "AF", "1234567890 1234567890", "INR 2.3"])
def test_too_little_text_has_no_language(text) -> None:
    """Digits and a few letters say nothing."""
    assert detect(text) is None


def test_the_model_is_loaded_by_the_first_question_not_by_the_import() -> None:
    """Half a second that a process which never detects does not pay."""
    program = "import fedrag.encoders.language as l; print(l.load.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
