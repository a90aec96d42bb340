"""What a coordinator counts: outcomes, times and volumes by stage and hospital, never text or who asked."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fedrag import __version__
from fedrag.assemble import Coordinator
from fedrag.core.answer import Answer


class CoordinatorMetrics:
    """One registry per application."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("fedrag_build", "The running version", registry=self.registry).info({"version": __version__})
        self.registry.register(_Present(coordinator))
        self._answers = self._counter("fedrag_answers", "Answers by outcome", "outcome")
        self._outcomes = self._counter("fedrag_node_outcomes", "What became of hospitals", "node", "status")
        self._stages = self._histogram("fedrag_stage_seconds", "Seconds per stage", "stage")
        self._nodes = self._histogram("fedrag_node_seconds", "Seconds a hospital took for its part", "node")
        self._passages = self._counter("fedrag_released_passages", "Passages hospitals released", "node")
        self._bytes = self._counter("fedrag_released_bytes", "Bytes of text hospitals released", "node")
        self._redactions = self._counter("fedrag_redactions", "Identifiers taken out of questions", "category")

    def count(self, answer: Answer) -> None:
        self._answers.labels(answer.abstained.code if answer.abstained else "answered").inc()
        for outcome in answer.coverage:
            self._outcomes.labels(outcome.node, outcome.status).inc()
            if outcome.elapsed_ms:
                self._nodes.labels(outcome.node).observe(outcome.elapsed_ms / 1000)
        for timing in answer.timings:
            self._stages.labels(timing.stage).observe(timing.elapsed_ms / 1000)
        for given in answer.disclosure.hospitals:
            self._passages.labels(given.node).inc(given.passages)
            self._bytes.labels(given.node).inc(given.text_bytes)
        for redaction in answer.redactions:
            self._redactions.labels(redaction.category).inc(redaction.count)

    def exposition(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, told: str, *labels: str) -> Counter:
        return Counter(name, told, labels, registry=self.registry)

    def _histogram(self, name: str, told: str, *labels: str) -> Histogram:
        return Histogram(name, told, labels, registry=self.registry)


class _Present(Collector):
    """What is read off the running coordinator when it is asked."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def collect(self) -> Iterator[Metric]:
        coordinator = self._coordinator
        members = coordinator.nodes()
        described = {one.node for one in coordinator.descriptions.catalogue().collections()}
        suspended = coordinator.parts.breaker.suspended()
        state = GaugeMetricFamily("fedrag_member_state", "1 for the state a hospital is in", labels=["node", "state"])
        for node in sorted(members):
            now = "suspended" if node in suspended else "described" if node in described else "unknown"
            for name in ("described", "suspended", "unknown"):
                state.add_metric([node, name], float(name == now))
        yield state
        counted = GaugeMetricFamily(
            "fedrag_source_counted", "1 where a source of the fitted vote has a say", labels=["node"]
        )
        if coordinator.watch is not None:
            for node in coordinator.watch.sources:
                counted.add_metric([node], float(node not in coordinator.watch.left_out()))
        yield counted
        further = CounterMetricFamily(
            "fedrag_further_attempts", "Second calls of one request, by purpose", labels=["purpose"]
        )
        for purpose, count in coordinator.budget.attempts.items():
            further.add_metric([purpose], count)
        yield further
        if coordinator.certificate is not None:
            yield GaugeMetricFamily(
                "fedrag_certificate_expiry_timestamp_seconds",
                "End of the TLS certificate",
                value=coordinator.certificate.expires_at_s(),
            )
