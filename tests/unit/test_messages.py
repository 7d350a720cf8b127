"""Whatever people are refused with says what was seen, what was wanted and what to do.

`SEEN, wanted WANTED: DO` for every refusal, every reason why an issuer is unavailable and every
error at a start. Of a value in the configuration `KEY is SEEN, must be WANTED` is enough: the key
says where there is something to do. A person who signs in is told SEEN and DO. The texts are read
from the source, with a placeholder for whatever is known only as they are told.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sessiond.core.errors import Refusal
from sessiond.core.refusal_words import WORDS

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCTOR = ROOT / "sessiond/ctl/doctor"
FORM = re.compile(r".+, wanted .+: .+", re.DOTALL)
VALUE = re.compile(r".+ must .+", re.DOTALL)
# The last part is words, not only what a system said.
ADVICE = re.compile(r".+(?:, wanted |[:;] |\. (?=[A-Z]))[^:;]*[a-z]{2}[^;]*", re.DOTALL)

# What is called with a text that people read, and which of its arguments that is.
REFUSALS = {"TokenRejected": 1, "Failed": 1, "NoTicket": 1, "self._refuse": 1}
UNAVAILABLE = {
    "IssuerUnavailable": 0,
    "IssuerThrottled": 0,
    "UnusableAnswer": 0,
    "ClientRefused": 0,
    "StoreError": 0,
    "trouble": 0,
}
AT_THE_START = {
    "ConfigError": 0,
    "NotNowError": 0,
    "AddressInUseError": 0,
    "InTheWayError": 0,
    "SealError": 0,
}
# What sessiond-login ends with, beside IssuerUnavailable: a person reads it, and does something.
OF_PEOPLE = {"UsageRefused": 0, "CannotKeep": 0, "NotSignedIn": 0, "ProfileRefused": 0}
CALLED = REFUSALS | UNAVAILABLE | AT_THE_START | OF_PEOPLE
# These yield the problems of a configuration, of which a ConfigError is made.
YIELDING = "sessiond/config/"
# These return such texts, to other modules.
RETURNING = {"why_none_is_usable": "UnusableAnswer"}
# What a refusal, or an issuer's trouble, is handed on with; each was walked where it was made.
OF_ERRORS = {"detail", "failure", "args"}
TOLD_ALREADY = {"why", "_why", "problem", "unknown", "NO_BEARER", "IS_STOPPING", *RETURNING}
HANDING_ON = {"fresh", "trouble"}
# Says what was seen and wanted; whoever catches it says what to do.
IN_PART = "UnknownKeyError"
NOT_OURS = {"demo", "testing"}


@dataclass(frozen=True, slots=True)
class Told:
    """One text; None where the source does not say it."""

    called: str
    text: str | None
    place: str

    @property
    def is_in_form(self) -> bool:
        if self.text is None:
            return False
        is_value = self.called in AT_THE_START and VALUE.fullmatch(self.text) is not None
        return is_value or FORM.fullmatch(self.text) is not None


class Source:
    """One module."""

    def __init__(self, text: str, place: str) -> None:
        self._place = place
        self._module = ast.parse(text)
        self._parents = {
            child: node for node in ast.walk(self._module) for child in ast.iter_child_nodes(node)
        }

    def told(self) -> Iterator[Told]:
        """Yield every text that one of CALLED is called with, or that one of RETURNING returns."""
        for node in ast.walk(self._module):
            match node:
                case ast.Call(func=func, args=args) if args and not self._hands_on(node):
                    called = self._called(func, node)
                    if called:
                        yield from self._all(args[CALLED[called]], node, called)
                case ast.Yield(value=ast.expr() as value) if self._place.startswith(YIELDING):
                    yield from self._all(value, node, "ConfigError")
                case ast.Return(value=ast.expr() as value):
                    called = RETURNING.get(self._function(node), "")
                    if called:
                        yield from self._all(value, node, called)
                case _:
                    pass

    def _all(self, argument: ast.expr, at: ast.expr | ast.stmt, called: str) -> Iterator[Told]:
        for text in self._texts(argument, at):
            yield Told(called, text, f"{self._place}:{at.lineno}")

    def _called(self, func: ast.expr, at: ast.AST) -> str:
        """Return which of CALLED this is: by its name, or by a name for one of several."""
        match func:
            case ast.Attribute(value=ast.Name("self"), attr=attr) if f"self.{attr}" in CALLED:
                return f"self.{attr}"
        name = _name(func)
        if name in CALLED or not isinstance(func, ast.Name):
            return name if name in CALLED else ""
        kinds = [each for value in _assigned(name, self._scope(at)) for each in ast.walk(value)]
        return next((each for each in map(_name, kinds) if each in CALLED), "")

    def _texts(self, argument: ast.AST, at: ast.AST) -> Iterator[str | None]:
        if self._is_told_already(argument, at):
            return
        match argument:
            case ast.Constant(value=str(text)):
                yield text
            case ast.JoinedStr(values=[ast.FormattedValue(value=ast.BoolOp() as first), *rest]):
                yield from (f"{each}{_shown(rest)}" for each in self._texts(first, at))
            case ast.JoinedStr(values=[ast.FormattedValue(value=ast.Name(id=name)), *rest]) if any(
                _assigned(name, self._scope(at))
            ):
                yield from (f"{each or '{}'}{_shown(rest)}" for each in self._named(name, at))
            case ast.JoinedStr(values=values):
                yield _shown(values)
            case ast.IfExp(body=body, orelse=other):
                yield from self._texts(body, at)
                yield from self._texts(other, at)
            case ast.BoolOp(values=values):
                for value in values:
                    yield from self._texts(value, at)
            case ast.Name(id=name):
                yield from self._named(name, at)
            case ast.Call(func=ast.Attribute(value=ast.Constant(value="\n"), attr="join")):
                return  # lines, each of them walked
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(ast.Name("self"), attr=name)):
                yield from self._returned(name)
            case _:
                yield None

    def _named(self, name: str, at: ast.AST) -> Iterator[str | None]:
        """Yield what a name may stand for: what it is set to, or what its function is given."""
        scope = self._scope(at)
        values = [*_assigned(name, scope)] or [*_assigned(name, self._module)]
        for value in values:
            yield from self._texts(value, at)
        if not values:
            names = [each.arg for each in _arguments(scope) if each.arg != "self"]
            calls = [each for each in ast.walk(self._module) if isinstance(each, ast.Call)]
            given = [each for each in calls if _name(each.func) == self._function(at)]
            if name not in names or not given:
                yield None
                return
            for call in given:
                yield from self._texts(call.args[names.index(name)], call)

    def _returned(self, name: str) -> Iterator[str | None]:
        found = False
        for node in ast.walk(self._module):
            if isinstance(node, ast.Return) and node.value and self._function(node) == name:
                found = True
                yield from self._texts(node.value, node)
        if not found:
            yield None

    def _is_told_already(self, node: ast.AST, at: ast.AST) -> bool:
        """Say whether it shows an error, or a text, that is walked where it is made."""
        if isinstance(node, ast.Starred):
            node = node.value
        if isinstance(node, ast.BoolOp | ast.IfExp):  # the other one may not be
            return False
        shown = list(ast.walk(node))
        kept = {each.attr for each in shown if isinstance(each, ast.Attribute)} & OF_ERRORS
        return bool(kept or {*map(_name, shown)} & (TOLD_ALREADY | self._errors(at)))

    def _errors(self, at: ast.AST) -> set[str]:
        """Return the names of errors of CALLED here: those caught, and those given."""
        known, found = {*CALLED, IN_PART}, set()
        node: ast.AST | None = at
        while node is not None:
            match node:
                case ast.ExceptHandler(name=str(name), type=ast.expr() as kinds):
                    each = kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]
                    found |= {name} if {_name(kind) for kind in each} <= known else set()
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    for argument in _arguments(node):
                        if argument.annotation and _name(argument.annotation) in known:
                            found.add(argument.arg)
                case _:
                    pass
            node = self._parents.get(node)
        return found

    def _hands_on(self, at: ast.AST) -> bool:
        return self._function(at) in HANDING_ON

    def _scope(self, node: ast.AST) -> ast.AST:
        while not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            node = self._parents[node]
        return node

    def _function(self, node: ast.AST) -> str:
        return getattr(self._scope(node), "name", "")


def _name(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _arguments(scope: ast.AST) -> list[ast.arg]:
    return scope.args.args if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef) else []


def _shown(values: list[ast.expr]) -> str:
    return "".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in values)


def _assigned(name: str, scope: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(scope):
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                yield value
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                for each, value in zip(targets, values, strict=True):
                    if _name(each) == name:
                        yield value
            case _:
                pass


def told(*folders: Path) -> list[Told]:
    """Return every text of the code, but for those of the rooms that serve no users."""
    files = sorted(file for folder in folders for file in folder.rglob("*.py"))
    files = [each for each in files if not NOT_OURS & {*each.relative_to(ROOT).parts}]
    return [
        each
        for file in files
        for each in Source(file.read_text(), str(file.relative_to(ROOT))).told()
    ]


LOGIN = ROOT / "plugins/sessiond-login/sessiond_login"
PLUGINS = {*ROOT.glob("plugins/*/sessiond_*")} - {LOGIN}
EVERY = told(ROOT / "sessiond", *PLUGINS)


@pytest.mark.parametrize(
    ("called", "least"),
    [(REFUSALS, 50), (UNAVAILABLE, 50), (AT_THE_START, 50)],
    ids=["refusals", "unavailable", "at the start"],
)
def test_every_text_says_what_was_seen_what_was_wanted_and_what_to_do(
    called: dict[str, int], least: int
) -> None:
    texts = [each for each in EVERY if each.called in called]
    assert [each for each in texts if not each.is_in_form] == []
    assert len(texts) > least  # so that none can be found by finding none at all


def test_a_person_who_signs_in_is_told_what_to_do() -> None:
    texts = told(LOGIN)
    assert [
        each
        for each in texts
        if each.text is None or not (ADVICE.fullmatch(each.text) or VALUE.fullmatch(each.text))
    ] == []
    assert len(texts) > 70


@pytest.mark.parametrize(
    "text", ["nothing was added", "cannot read {}: {}", "{}: {}; {}", "there is none, say so"]
)
def test_what_only_says_what_was_seen_is_no_advice(text: str) -> None:
    assert ADVICE.fullmatch(text) is None


def in_form(source: str) -> list[bool]:
    return [each.is_in_form for each in Source(source, "planted.py").told()]


@pytest.mark.parametrize(
    "planted",
    [
        "raise TokenRejected(Refusal.EXPIRED, 'the lease is over')",
        "raise TokenRejected(Refusal.EXPIRED, f'exp was {exp}, wanted a later one')",
        "raise TokenRejected(Refusal.EXPIRED, said())",
        "raise IssuerUnavailable(f'{host} answered {status}')",
        "raise reply.trouble(detail)",
        "def f(detail):\n  raise ConfigError(detail)\nf('no')",
        "try:\n  f()\nexcept OSError as error:\n  raise ConfigError(f'{path}: {error}')",
        "kind = UnusableAnswer if x else OSError\nraise kind('no')",
        "raise TokenRejected(reason, 'a is b, must be c')",
    ],
)
def test_one_without_the_form_is_found(planted: str) -> None:
    assert in_form(planted) == [False]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("raise TokenRejected(Refusal.EXPIRED, f'exp is {x}, wanted one after: sign in')", [True]),
        ("raise ConfigError(f'{key} is {x}, must be text')", [True]),
        (
            "def f(a, do):\n  raise ConfigError(do)\nf(1, 'a, wanted b: c')\nf(1, 'a')",
            [True, False],
        ),
        ("try:\n  f()\nexcept IssuerUnavailable as error:\n  _Failed(reason, str(error))", []),
        ("x = 'a, wanted b: c' if y else 'a'\nConfigError(x)", [True, False]),
    ],
)
def test_texts_are_followed_to_where_they_are_made(source: str, found: list[bool]) -> None:
    assert in_form(source) == found


def test_the_words_of_the_table_have_the_form_too() -> None:
    assert [words for words in WORDS.values() if not FORM.fullmatch(words)] == []


def test_the_readme_has_a_row_for_every_reason() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", README.read_text(), re.MULTILINE)
    told = [reason for reason, often, do in rows if often.strip() and do.strip()]
    assert sorted(set(told) & set(Refusal)) == sorted(Refusal)
    assert len(told) == len(set(told))


def test_the_doctor_finds_nothing_wrong_without_advice() -> None:
    found = [
        (file.name, node.lineno, node.args)
        for file in sorted(DOCTOR.glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and _name(node.func) in ("wrong", "warning")
    ]
    assert len(found) > 30
    for place, line, (_, *texts) in found:
        assert len(texts) == 2, f"{place}:{line}: found, and advice"
        for text in texts:
            assert not isinstance(text, ast.Constant) or str(text.value).strip(), f"{place}:{line}"
