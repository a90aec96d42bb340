"""Questions taken apart by rules."""

import pytest

from reasoner.decomposition import sub_questions


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "What is the dose of amoxicillin in pneumonia, and when is it stopped?",
            ("What is the dose of amoxicillin in pneumonia?", "When is amoxicillin stopped?"),
        ),
        (
            "A woman bleeds on warfarin. What reverses it? When is it restarted?",
            ("A woman bleeds on warfarin. What reverses it?", "A woman bleeds on warfarin. When is it restarted?"),
        ),
        (
            "Compare apixaban and warfarin in renal failure",
            ("What is said about apixaban in renal failure?", "What is said about warfarin in renal failure?"),
        ),
        (
            "Which is safer in pregnancy, methyldopa or labetalol?",
            (
                "What is said about methyldopa in pregnancy, and is it safer?",
                "What is said about labetalol in pregnancy, and is it safer?",
            ),
        ),
        (
            "How is anticoagulation dosed in patients with atrial fibrillation and renal failure?",
            (
                "How is anticoagulation dosed in patients with atrial fibrillation and renal failure?",
                "How is anticoagulation dosed in patients with atrial fibrillation?",
                "How is anticoagulation dosed in patients with renal failure?",
            ),
        ),
    ],
)
def test_a_question_of_several_is_taken_apart(text, parts) -> None:
    """Each part can be understood alone; of a combination the whole comes first."""
    assert sub_questions(text, 4) == parts


@pytest.mark.parametrize(
    "text",
    [
        "What reverses warfarin?",
        "Which drug is safe and can be given orally?",
        "What is the treatment of croup and bronchiolitis?",
        "Should aspirin and clopidogrel both be stopped before surgery?",
        "What reverses it? She takes warfarin.",
    ],
)
def test_a_question_of_one_is_left_whole(text) -> None:
    """Two things named are not two questions; nor is one whose setting comes last cut off from it."""
    assert sub_questions(text, 4) == (text,)


def test_no_plan_is_longer_than_it_may_be() -> None:
    """A plan that does not fit is not cut: what was left out would be missed."""
    text = "What is measles? How is it spread? How is it treated?"
    assert len(sub_questions(text, 3)) == 3
    assert sub_questions(text, 2) == (text,)
    assert sub_questions(text, 1) == (text,)
