"""How long things take, as Prometheus' histograms. No label ever names a user."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.process_collector import ProcessCollector

from sessiond.clock import Clock
from sessiond.gate import LoginTimings

LOOK_EVERY = 0.25  # seconds between two looks at how late the loop is
SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
LATE_SECONDS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more each that nobody reads


class Metrics:
    """The histograms of one daemon. Observing costs about a microsecond."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self.answer = self._histogram(
            "answer_seconds",
            "From the first byte of a connect, renew or web to its answer",
            labels=("call", "outcome"),
        )
        self.queue_wait = self._histogram(
            "queue_wait_seconds",
            "What logins waited for their turn at the issuer",
            labels=("issuer",),
        )
        self.issuer_call = self._histogram(
            "issuer_call_seconds",
            "What calls to the issuer took, answered or not: verify, refresh, revoke, probe",
            labels=("issuer", "kind"),
        )
        self.commit = self._histogram("commit_seconds", "What transactions took that went well")
        self.refresh_late = self._histogram(
            "refresh_late_seconds",
            "How long after it was due a refresh was sent to the issuer, retries too",
            buckets=LATE_SECONDS,
        )
        self.loop_lag = self._histogram(
            "loop_lag_seconds", "How late the event loop wakes a task, looked at 4 times a second"
        )
        self.web_callback = self._histogram(
            "web_callback_seconds",
            "From a browser's coming back with a code to its session on disk, or to a refusal",
            labels=("issuer",),
        )
        self.web_requests = self._counter(
            "web_requests", "Requests over HTTP that q processes asked about", ("action", "reason")
        )
        self.web_sign_ins = self._counter(
            "web_sign_ins", "Sign-ins by the browser", ("issuer", "outcome")
        )
        self.source_tokens = self._counter(
            "source_tokens", "Tokens for data sources that were asked for", ("source", "outcome")
        )
        self.source_fetches = self._counter(
            "source_fetches", "Calls for the next token of a data source", ("source", "outcome")
        )
        self.watchdog_feeds = self._counter(
            "watchdog_feeds", "Round trips that succeeded and were told to systemd"
        )

    def calls_of(self, issuer: str) -> Callable[[str, float], None]:
        """Return what notes a call to one issuer: its kind, and the seconds that it took."""

        def note(kind: str, seconds: float) -> None:
            self.issuer_call.labels(issuer, kind).observe(seconds)

        return note

    def answered(self, call: str, outcome: str, seconds: float, timings: LoginTimings) -> None:
        """Note a login's or renewal's answer.

        Args:
            call: "connect", "renew" or "web".
            outcome: "accepted" or "refused"; of a web, its action.
            seconds: What it took altogether.
            timings: What of it was spent where.
        """
        self.answer.labels(call, outcome).observe(seconds)
        if timings.queued is not None:
            self.queue_wait.labels(timings.issuer).observe(timings.queued)

    def sign_in_begun(self, issuer: str) -> None:
        """Note a browser that was sent to its issuer."""
        self.web_sign_ins.labels(issuer, "begun").inc()

    def sign_in_over(self, issuer: str, outcome: str, seconds: float) -> None:
        """Note what became of a browser that came back with a code.

        Args:
            issuer: Where it comes from.
            outcome: "finished" or "failed".
            seconds: From then until that was known.
        """
        self.web_sign_ins.labels(issuer, outcome).inc()
        self.web_callback.labels(issuer).observe(seconds)

    def source_asked(self, source: str, outcome: str) -> None:
        """Note an asking for a token.

        Args:
            source: Its name; empty where there is none of the name that was asked for.
            outcome: "given", or why it was not.
        """
        self.source_tokens.labels(source, outcome).inc()

    def source_fetched(self, source: str, outcome: str) -> None:
        """Note a call for a source's next token: "ok", or why there is none."""
        self.source_fetches.labels(source, outcome).inc()

    async def watch_loop(self, clock: Clock) -> None:
        """See how late the loop is, until cancelled."""
        while True:
            began = clock.monotonic()
            await clock.sleep(LOOK_EVERY)
            self.loop_lag.observe(max(0.0, clock.monotonic() - began - LOOK_EVERY))

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"sessiond_{name}", text, labelnames=labels, registry=self.registry)

    def _histogram(
        self,
        name: str,
        text: str,
        *,
        labels: tuple[str, ...] = (),
        buckets: tuple[float, ...] = SECONDS,
    ) -> Histogram:
        return Histogram(
            f"sessiond_{name}", text, labelnames=labels, buckets=buckets, registry=self.registry
        )
