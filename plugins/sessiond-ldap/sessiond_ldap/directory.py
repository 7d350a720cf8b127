"""One connection to the directory, by bonsai and OpenLDAP's library, within a process of its own.

Both are told all that they are to do. What they would take from elsewhere, LDAPNOINIT keeps away
(ldap.conf(5)): a variable or a file could turn the check of certificates off.
"""

import re
from collections.abc import Sequence
from typing import Any

import bonsai
from bonsai import LDAPClient, LDAPConnection, LDAPSearchScope
from bonsai.ldapdn import LDAPDN
from bonsai.ldapreference import LDAPReference

from sessiond_ldap.lookup import Entry, UnusableError
from sessiond_ldap.settings import LdapSettings

PATIENCE = 30.0  # seconds for one step; whoever asks gives up earlier, and ends this process
NO_ATTRIBUTES = "1.1"  # RFC 4511, 4.5.1.8

_REFERRAL = 10  # RFC 4511, 4.1.9
_GIVEN_UP = (3, 4, 11)  # time limit, size limit, administrative limit


class AwayError(Exception):
    """The directory does not answer, or not us. The text has nothing of a secret."""


class BonsaiDirectory:
    """A Directory that connects when it is first asked, and again after its connection broke."""

    def __init__(self, settings: LdapSettings, password: str) -> None:
        _keep_names_as_they_are()
        self._settings = settings
        self._client = _client(settings, password)
        self._connection: LDAPConnection | None = None

    def search(
        self, base: str, filter_text: str, *, attributes: Sequence[str], most: int
    ) -> list[Entry]:
        """Return what matches, see Directory.

        Raises:
            AwayError: The server cannot be reached, is not who it should be, or refuses us.
            UnusableError: It answers, and not with all that matches.
        """
        wanted = [*attributes] or [NO_ATTRIBUTES]
        was_connected = self._connection is not None
        try:
            found = self._searched(base, filter_text, wanted, most)
        except (bonsai.ConnectionError, bonsai.ClosedConnection) as error:
            self._close()
            if not was_connected:
                raise self._away(error) from None
            found = self._again(base, filter_text, wanted, most)
        if any(isinstance(each, LDAPReference) for each in found):
            raise _elsewhere(base)
        if len(found) > most:
            raise _too_many(most)
        return [_entry(each) for each in found]

    def _again(self, base: str, filter_text: str, wanted: list[str], most: int) -> list[Any]:
        """Ask over a new connection: servers close those that are idle."""
        try:
            return self._searched(base, filter_text, wanted, most)
        except (bonsai.ConnectionError, bonsai.ClosedConnection) as error:
            self._close()
            raise self._away(error) from None

    def _searched(self, base: str, filter_text: str, wanted: list[str], most: int) -> list[Any]:
        connection = self._connected()
        try:
            # One more than may be there: so that too many show, whatever the server's own limit.
            found: list[Any] = connection.search(
                base,
                LDAPSearchScope.SUBTREE,
                filter_text,
                wanted,
                timeout=PATIENCE,
                sizelimit=most + 1,
            )
        except (bonsai.ConnectionError, bonsai.ClosedConnection):
            raise
        except bonsai.LDAPError as error:
            self._close()  # what is left of an answer is nobody's
            if error.code in _GIVEN_UP:
                raise _too_many(most) from None
            if error.code == _REFERRAL:
                raise _elsewhere(base) from None
            raise AwayError(f"{_words(error)}; see its log") from None
        except ValueError:  # bonsai's, of a referral that is no URL
            self._close()
            raise _elsewhere(base) from None
        return found

    def _connected(self) -> LDAPConnection:
        if self._connection is None:
            try:
                self._connection = self._client.connect(timeout=PATIENCE)
                self._check_bases(self._connection)
            except bonsai.AuthenticationError as error:
                raise AwayError(
                    f"{_words(error)}: the directory does not take us for bind_dn: "
                    "see bind_dn and password_file"
                ) from None
            except (bonsai.ConnectionError, bonsai.ClosedConnection):
                raise
            except bonsai.LDAPError as error:
                raise AwayError(f"{_words(error)}") from None
        return self._connection

    def _check_bases(self, connection: LDAPConnection) -> None:
        """Look whether there is anything to search below.

        To bonsai a base that is not there, or is elsewhere, has nothing below it: users would have
        fewer roles than they have.
        """
        for base in filter(None, (self._settings.user_base, self._settings.group_base)):
            if not connection.search(
                base, LDAPSearchScope.BASE, "(objectClass=*)", [NO_ATTRIBUTES], timeout=PATIENCE
            ):
                self._close()
                raise AwayError(
                    f"nothing is at {base}, or we may not see it: "
                    "see user_base, group_base, and what bind_dn may read"
                )

    def _away(self, error: bonsai.LDAPError) -> AwayError:
        """Say what it may be: the library tells no more of a wrong certificate."""
        text = f"{_words(error)} at {self._settings.url}: see that it runs"
        if self._settings.is_tls:
            text += (
                f", with a certificate for that host that {self._settings.authorities} vouches for"
            )
        return AwayError(text)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _client(settings: LdapSettings, password: str) -> LDAPClient:
    client = LDAPClient(settings.url, tls=settings.is_start_tls)
    client.set_cert_policy("demand")  # chain and host name
    if settings.is_tls:
        client.set_ca_cert(settings.authorities)
    if settings.cert_file:
        client.set_client_cert(settings.cert_file)
        client.set_client_key(settings.key_file)
    if settings.bind_dn:
        client.set_credentials("SIMPLE", user=settings.bind_dn, password=password)
    else:
        client.set_credentials("EXTERNAL")
    client.set_server_chase_referrals(False)
    client.set_ignore_referrals(False)
    client.set_auto_page_acquire(False)
    client.set_raw_attributes([*settings.attributes])
    return client


def _keep_names_as_they_are() -> None:
    r"""Have bonsai hand on what the server wrote.

    It rewrites `\2C` as `\,` in whatever comes before, and so makes two names of one in which
    a backslash stands before `2C`: a group that somebody called so would look like another.
    Some good names it refuses, such as those with `#` inside.
    """
    setattr(LDAPDN, "_dnregex", re.compile(""))  # noqa: B010 - nobody else's to see
    setattr(LDAPDN, "_LDAPDN__sanitize", staticmethod(_as_it_is))  # noqa: B010
    for name in (r"cn=a\\2Cb,dc=c", r"cn=a\2Cb#,dc=c"):
        if str(LDAPDN(name)) != name:
            raise RuntimeError("this bonsai changes names of entries, wanted 1.5.5")


def _as_it_is(name: str, reverse: bool = False) -> str:
    return name


def _entry(found: Any) -> Entry:
    attributes = {key.lower(): [bytes(each) for each in found[key]] for key in _keys(found)}
    return Entry(str(found.dn), attributes)


def _keys(found: Any) -> list[str]:
    return [key for key in found if key.lower() != "dn"]


def _words(error: bonsai.LDAPError) -> str:
    """Return what the library says, on one line, and no more of it than anybody reads."""
    text = str(error.args[0]) if error.args else type(error).__name__
    return " ".join(text.split())[:200] or type(error).__name__


def _too_many(most: int) -> UnusableError:
    if most == 1:
        return UnusableError(
            "several entries are this user's: see user_base and user_filter, or who "
            "has taken his name"
        )
    return UnusableError(
        f"the search was given up: there are more than {most} groups, or the "
        "server has a lower limit"
    )


def _elsewhere(base: str) -> UnusableError:
    return UnusableError(
        f"a part of {base} is elsewhere (a referral), which is never followed: choose a base that "
        "this server has all of"
    )
