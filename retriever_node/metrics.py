"""What a node counts, for the hospital's own monitoring: numbers, codes and classes, never text, names or
identities."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest

from fedrag import __version__
from fedrag.core.exchange import Offers, Release
from fedrag.core.traces import Trace
from fedrag.core.wire import Wire


class NodeMetrics:
    """One registry per application. `certificate_expiry_s`: Unix time, 0 where TLS does not begin here."""

    def __init__(self, certificate_expiry_s: Callable[[], float] = lambda: 0.0) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("fedrag_build", "The running version", registry=self.registry).info({"version": __version__})
        self._requests = self._counter("fedrag_node_requests", "Requests by route and code", "route", "code")
        self._seconds = Histogram(
            "fedrag_node_request_seconds", "Seconds per request", ["route"], registry=self.registry
        )
        self._offers = self._counter("fedrag_node_offers", "Passages offered")
        self._passages = self._counter("fedrag_node_released_passages", "Passages released", "release_class")
        self._bytes = self._counter("fedrag_node_released_bytes", "Bytes of text released", "release_class")
        self._traces = self._counter("fedrag_node_traces", "Chains of thought of the hospital's own model")
        expiry = Gauge(
            "fedrag_certificate_expiry_timestamp_seconds", "End of the TLS certificate", registry=self.registry
        )
        expiry.set_function(certificate_expiry_s)

    def count(self, route: str, code: str, started_s: float, answered: Wire | None) -> None:
        """One request: its route's template, `ok` or the error's code, when it came (monotonic clock), what was
        answered."""
        self._requests.labels(route, code).inc()
        self._seconds.labels(route).observe(time.monotonic() - started_s)
        match answered:
            case Offers():
                self._offers.inc(len(answered.offers))
                if answered.release is not None:
                    self._count_text(answered.release)
            case Release():
                self._count_text(answered)
            case Trace():
                self._traces.inc()
                self._bytes.labels("trace").inc(answered.text_bytes)
            case _:
                pass

    def _count_text(self, release: Release) -> None:
        for passage in release.passages:
            self._passages.labels(passage.release_class).inc()
            self._bytes.labels(passage.release_class).inc(len(passage.text.encode()))

    def exposition(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, told: str, *labels: str) -> Counter:
        return Counter(name, told, labels, registry=self.registry)
