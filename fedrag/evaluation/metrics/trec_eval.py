"""trec_eval itself (through pytrec_eval): what the field's published figures are computed with.

Gain is the grade, unjudged documents have none, and a question without a result, or without a relevant document, scores
0 and counts in the mean, where trec_eval alone would leave it out.
"""

from collections.abc import Mapping, Sequence

from fedrag.core.errors import MissingExtra


def trec_eval(ranking: Sequence[str], grades: Mapping[str, int], measure: str) -> float:
    """One measure of one ranking (best first, no document twice), named as trec_eval does: `ndcg_cut.10`, `recall.100`.

    Raises MissingExtra without the extra `evaluation`.
    """
    try:
        import pytrec_eval
    except ImportError as error:
        raise MissingExtra("this measure needs pytrec_eval: pip install 'fedrag[evaluation]'") from error
    if len(set(ranking)) != len(ranking):
        raise ValueError("a document is ranked twice")
    if not ranking or not any(grade > 0 for grade in grades.values()):
        return 0.0
    # trec_eval sorts by score and breaks ties by name: distinct scores keep the order that was handed in.
    run = {document: float(len(ranking) - place) for place, document in enumerate(ranking)}
    judgements = {document: max(grade, 0) for document, grade in grades.items()}
    evaluator = pytrec_eval.RelevanceEvaluator({"q": judgements}, {measure})
    return float(evaluator.evaluate({"q": run})["q"][measure.replace(".", "_")])
