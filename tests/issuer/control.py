"""A test's hand on the running issuer: faults, counters, keys, users."""

from typing import Any

import httpx

ALWAYS = 1_000_000_000  # a fault's count that no test uses up


class ControlError(Exception):
    """The issuer did not understand the test; the message has its reason."""


class IssuerControl:
    """Steers the issuer over /_ctl/. Its requests are neither counted nor struck by faults."""

    def __init__(self, http: httpx.Client, origin: str) -> None:
        self._http = http
        self._origin = origin

    def rotate_keys(self, *, drop_old: bool = False) -> list[str]:
        """Sign with new keys from now on; return the published kids, the newest first."""
        kids: list[str] = self._post("rotate", drop_old=drop_old)["kids"]
        return kids

    def register_web_bases(self, *bases: str) -> None:
        """Let the clients `kdb-web` and `kdb-web-public` come from these origins from now on.

        Redirect URIs and post-logout URIs are BASE/.sessiond/callback, whole and exact.
        """
        self._post("web-bases", bases=bases)

    def fault(
        self, path: str, kind: str = "answer", *, count: int = 1, delay_ms: int = 0, **members: Any
    ) -> None:
        """Strike the next `count` requests to paths that contain `path`.

        Faults of one path strike in the order in which they were asked for, each when the one
        before is used up. Kinds, and their members with what is used when left out:

        - answer: `status` 503, `body` {} (as JSON), `headers`
        - raw: `text`, `content_type`, `status` 200
        - html: a network's sign-in page, `status` 200
        - empty: no body, `status` 200
        - redirect: `status` 302, `location` "/elsewhere"
        - drop: the connection is closed unanswered
        - hang: no answer and no header, until the faults are cleared; then as drop
        - trickle: a blank of a body each `interval_ms` 20, for ever
        - delay: the real answer, `delay_ms` late (use count=ALWAYS for a slow issuer)
        - hold: the real answer, once the faults are cleared
        - token: the token endpoint's real answer with the members named in `without` taken away,
          those of `set` replaced, and with `as_user`: the access token of that user
        """
        self._post("fault", path=path, kind=kind, count=count, delay_ms=delay_ms, **members)

    def clear_faults(self) -> None:
        """Forget all faults, let what is held or delayed go on, drop what hangs or trickles."""
        self._post("clear-faults")

    def calls(self, path: str) -> int:
        """Return how many requests went to paths that contain `path` since the last reset."""
        counts: dict[str, int] = self._post("calls")
        return sum(count for called, count in counts.items() if path in called)

    def wait_for_calls(self, path: str, count: int = 1) -> None:
        """Wait until so many such requests have come since the last reset (at most 10 s)."""
        self._post("arrival", path=path, count=count)

    def take_log(self) -> list[str]:
        """Return `METHOD /path` of each request since the last reset; they count no more."""
        log: list[str] = self._post("log")
        return log

    def issued(self) -> list[tuple[str, str]]:
        """Return the name and the text of each secret that went over the token endpoint.

        Tokens that were given out, codes and their verifiers that were brought; since the reset.
        """
        found: list[dict[str, str]] = self._post("issued")
        return [(each["name"], each["secret"]) for each in found]

    def reuses(self) -> int:
        """Return how often a refresh token came that was spent before, since the reset."""
        count: int = self._post("reuses")
        return count

    def take_refreshes(self) -> list[dict[str, Any]]:
        """Return each refresh token that came, struck ones left out; forgets them.

        `client`, `digest` (SHA-256 of the token, hexadecimal), `at` (Unix time at which the request
        came), `error` (empty: it was taken), `took` (seconds until the answer had left; null: it
        has not).
        """
        found: list[dict[str, Any]] = self._post("refreshes")
        return found

    def revoke_user(self, user: str) -> None:
        """End all that the user was granted; his signed access tokens stay what they are."""
        self._post("revoke-user", user=user)

    def disable(self, user: str) -> None:
        """Refuse the user everywhere: login, refresh, introspection's and userinfo's answers."""
        self.change_user(user, disabled=True)

    def change_user(self, user: str, **members: Any) -> dict[str, Any]:
        """Make a user, or change `oid`, `name`, `password`, `roles` or `disabled` of one.

        Or `claims`: more of them in his access tokens.
        """
        return self._post_dict("user", user=user, set=members)

    def set_access_token_lifetime(self, seconds: int) -> None:
        """Issue access tokens of this lifetime from now on."""
        self.set_habits(access_token_seconds=seconds)

    def set_habits(self, **habits: Any) -> None:
        """Change the issuer's habits until the reset; settings.mjs has their names."""
        self._post("set", **habits)

    def graph_token(self, user: str, **members: Any) -> str:
        """Return a Graph-shaped access token, which only this issuer's /v1.0/me can judge.

        Members: `seconds`, `audience` (https://graph.microsoft.com), `appid` ("qstudio").
        """
        token: str = self._post("graph-token", user=user, **members)["access_token"]
        return token

    def reset(self) -> None:
        """Forget faults, counters, changed users and habits; keep keys and what was issued."""
        self._post("reset")

    def _post_dict(self, name: str, **members: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._post(name, **members)
        return answer

    def _post(self, name: str, **members: Any) -> Any:
        response = self._http.post(f"{self._origin}/_ctl/{name}", json=members)
        if response.status_code != 200:
            raise ControlError(f"{name}: {response.text}")
        return response.json()
