"""Counters and durations for Prometheus, one registry an app, so that two apps in a process do not mix.

Labels are few and fixed: doors, guide versions, outcomes, routes, libraries. Nothing about a patient, nothing
a caller chooses. What waits is the database's, and the same whichever process tells it.
"""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def known_method(method: str) -> str:
    """A method as it may be written down: one that HTTP does not know is the caller's own word."""
    return method if method in _METHODS else "_OTHER"


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "payer_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "payer_request_seconds", "Request to answer.", ["route"], buckets=_SECONDS, registry=self.registry
        )
        self._decisions = Counter(
            "payer_decisions", "Lines decided.", ["door", "version", "outcome"], registry=self.registry
        )
        self._unevaluated = Counter(
            "payer_unevaluated", "Rules that could not be evaluated.", ["library"], registry=self.registry
        )

        self._waiting = Gauge(
            "payer_waiting",
            "What waits: lines for a decision, late, due within a day or later; notifications to arrive.",
            ["what"],
            registry=self.registry,
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(known_method(method), route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def decision(self, door: str, version: str, outcome: str) -> None:
        """`decision("crd", "2.0", "approve")`, once an order line, at PAS whenever its verdict is another."""
        self._decisions.labels(door, version, outcome).inc()

    def unevaluated(self, library: str) -> None:
        """Once for each time that the rules of a library could not be evaluated."""
        self._unevaluated.labels(library).inc()

    def exposition(self, waiting: Mapping[str, int]) -> bytes:
        """The text format of Prometheus, with what waits now; nothing of that where it is not known."""
        self._waiting.clear()
        for what, number in waiting.items():
            self._waiting.labels(what).set(number)
        return generate_latest(self.registry)
