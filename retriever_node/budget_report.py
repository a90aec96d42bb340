"""`fedrag-node budget`: what noisy counts have told so far, for the hospital's own eyes: there is no noise in it."""

from retriever_node.config import CountsConfig
from retriever_node.noise import installed
from retriever_node.renyi import Budget, Spent


def budget_of(config: CountsConfig) -> Budget:
    return Budget.of(config.question_epsilon, config.patient_epsilon, config.delta)


def sentences(spent: Spent, config: CountsConfig) -> list[str]:
    """For people at a terminal; nobody is named."""
    budget = budget_of(config)
    room = int(budget.total / budget.question)
    bounds = f"epsilon of a question {config.question_epsilon:g}, of a patient {config.patient_epsilon:g}"
    said = [f"{bounds}, delta {config.delta:g}: a patient may be in {room} counts"]
    said.append(f"{spent.questions} questions answered; {spent.patients} patients were in at least one")
    if spent.patients:
        said.append(f"epsilon spent: median {spent.median_epsilon:.2f}, highest {spent.highest_epsilon:.2f}")
        said += [f"  up to {epsilon:2d}: {patients} patients" for epsilon, patients in spent.by_epsilon.items()]
        said.append(f"{spent.left_out} patients have spent theirs and are in no count any more")
    if not installed():
        said.append("no counts leave: opendp is not installed (the extra counts)")
    return said
