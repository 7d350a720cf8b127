"""A development issuer on loopback: `python -m sessiond.demo.issuer`.

It is `sessiond.testing.FakeIssuer` with two users, who sign in on its pages, by browser or with a
device's code, and two programs that have tokens of their own. Its refresh tokens rotate: each is
good once, and a second use ends all that came from the same sign-in (RFC 9700, 4.14.2).

It takes commands as lines on standard input ({"do": "disable", "user": "alice"}) and tells what
happened as lines on standard output, the first of which is `ready` with its URL.
"""

import argparse
import sys

from sessiond.core.secret import Secret
from sessiond.demo.lines import Commands, report
from sessiond.testing.answer import Answer, Asked
from sessiond.testing.fake_issuer import FakeIssuer

NAME = "development"  # what sessiond, and so the profile, calls it
CLIENT = "qstudio"  # the public client that users sign in with
API = "api://kdb"  # the audience of its access tokens, unless another is asked for
SCOPE = "session.login kdb.read"
PASSWORDS = {"alice": "wonderland", "bob": "builder"}
FEEDS, RISK = "kdb-feeds", "kdb-risk"  # programs with tokens of their own
SECRETS = {FEEDS: "feeds-secret", RISK: "risk-secret"}


class DemoIssuer(FakeIssuer):
    """Reports what becomes of each request for tokens."""

    def __init__(self, *, life: float) -> None:
        """Begin with a new key.

        Args:
            life: Seconds that an access token is good.
        """
        super().__init__(
            audience=API,
            claims={"scope": SCOPE},
            life=life,
            detects_reuse=True,
            client=CLIENT,
            passwords=PASSWORDS,
            programs=SECRETS,
            on_answer=self._report,
        )

    def _report(self, asked: Asked, answer: Answer) -> None:
        grant = asked.form.get("grant_type")
        if asked.path != "/token" or grant is None:
            return
        if answer.status == 200:
            report("granted", grant=grant, user=self.user_of(Secret(answer.body["access_token"])))
        else:
            user = self.user_of(Secret(asked.form.get("refresh_token", "")))
            report("denied", grant=grant, user=user, error=answer.body["error"])


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--life", type=int, required=True, help="seconds of an access token")
    issuer = DemoIssuer(life=parser.parse_args().life)
    with issuer.serve() as url:
        report("ready", issuer=url)
        commands = Commands(sys.stdin.fileno())
        while (told := commands.read()) is not None:
            for command in told:
                issuer.disable(command["user"])
                report("disabled", user=command["user"])


if __name__ == "__main__":
    main()
