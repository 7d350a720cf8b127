"""Whatever happens in whichever order: answers in order and once, changes in message order."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from sessiond.kdb.slots import Slot, Slots, Wrong
from sessiond.qipc import Value, long
from sessiond.qipc.values import Atom

DEADLINE = 10.0

# What may happen next; the number says to which message.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ("login", "login", "change", "ping", "list", "apart", "lands", "commits", "time", "cut")
        ),
        st.integers(0, 30),
    ),
    max_size=60,
)


class Model:
    """A connection's messages, and a world that answers when the test says so."""

    def __init__(self) -> None:
        self.left = list[int]()  # messages whose answers have left, in their order
        self.entered = list[int]()  # whose changes are in the table
        self.settled = dict[int, list[str]]()
        self.failed = list[Exception]()
        self.slots = Slots(self._leave, self.failed.append)
        self.waiting = dict[int, Slot]()  # for their flight
        self.inside = dict[int, Slot]()  # in the table, not answered
        self.number_of = dict[Slot, int]()
        self.now, self.count, self.asked = 0.0, 0, list[int]()
        self.is_cut = False

    def do(self, step: str, which: int) -> None:
        match step:
            case "lands" if self.waiting:
                number = list(self.waiting)[which % len(self.waiting)]
                self.waiting[number].enter(partial(self._submit, number, self.waiting.pop(number)))
            case "commits" if self.inside:
                number = list(self.inside)[which % len(self.inside)]
                self._settle(number, self.inside.pop(number), "answered")
            case "time":
                self.now += which / 3
                self.slots.pass_time(self.now)
            case "cut":
                if which == 0:
                    self.slots.stop()
                    self.is_cut = True
            case "lands" | "commits":  # nothing waits for that
                pass
            case _:
                self._arrive(step)

    def _arrive(self, kind: str) -> None:
        if self.is_cut:
            return
        self.count += 1
        number = self.count
        slot = Slot(
            self.slots,
            is_sync=True,
            began=self.now,
            answer_by=self.now + DEADLINE,
            size=1,
            is_apart=kind == "apart",
        )
        self.number_of[slot] = number
        self.settled[number] = []
        slot.late = partial(self._settle, number, slot, "late")
        slot.stopped = partial(self.settled[number].append, "stopped")
        self.slots.add(slot)
        match kind:
            case "login" | "apart":
                self.waiting[number] = slot
            case "change":
                slot.enter(partial(self._submit, number, slot))
            case "ping":
                self._settle(number, slot, "answered")
            case _:
                slot.when_due(partial(self._ask, number, slot))

    def _submit(self, number: int, slot: Slot) -> None:
        assert not slot.is_settled
        if not slot.is_apart:
            self.entered.append(number)
        self.inside[number] = slot

    def _ask(self, number: int, slot: Slot) -> None:
        assert self.slots._leaving[0] is slot  # all before it are answered
        self.asked.append(number)
        self.inside[number] = slot

    def _settle(self, number: int, slot: Slot, how: str) -> None:
        if slot.settle(lambda: long(number)):
            self.settled[number].append(how)

    def _leave(self, slots: list[Slot]) -> None:
        for slot in slots:
            answer = slot.answer()
            assert isinstance(answer, Atom)
            assert answer.value == self.number_of[slot]
            if not slot.is_apart:
                self.left.append(self.number_of[slot])


@given(steps=STEPS)
def test_whatever_happens_answers_leave_in_order_and_each_message_is_settled_once(
    steps: list[tuple[str, int]],
) -> None:
    model = Model()
    for step, which in steps:
        model.do(step, which)
        assert model.left == sorted(set(model.left))
        assert model.entered == sorted(set(model.entered))
        assert all(len(how) <= 1 for how in model.settled.values())
        late = [n for slot, n in model.number_of.items() if slot.answer_by <= model.now]
        if not model.is_cut and step == "time":
            assert all(model.settled[number] for number in late)
    if not model.is_cut:
        while model.waiting or model.inside:
            model.do("lands", 0)
            model.do("commits", 0)
        ordered = [n for slot, n in model.number_of.items() if not slot.is_apart]
        assert model.left == ordered
    assert all(model.settled.values())
    assert model.slots.size == 0
    assert len(model.slots) == 0
    assert model.failed == []


def unanswered(slots: Slots, number: int = 1) -> Slot:
    slot = Slot(slots, is_sync=True, began=0.0, answer_by=float(number), size=number)
    slots.add(slot)
    return slot


def test_what_goes_wrong_in_a_call_that_others_make_is_told_and_does_not_reach_them() -> None:
    failed = list[Exception]()
    slot = unanswered(Slots(lambda _: None, failed.append))

    def hear(what: object) -> None:
        raise RecursionError(str(what))

    slot.guarded(hear)("an answer")
    assert [str(each) for each in failed] == ["an answer"]


def test_without_a_word_of_its_own_a_late_answer_is_an_error() -> None:
    answers = list[Slot]()
    slots = Slots(answers.extend, lambda _: None)
    first, second = unanswered(slots, 1), unanswered(slots, 2)
    assert slots.next_deadline == 1.0
    slots.pass_time(1.0)
    assert answers == [first]
    assert slots.next_deadline == second.answer_by
    assert first.answer() == Wrong("no answer in time")


def test_a_change_of_a_message_that_is_late_never_enters() -> None:
    entered, gone = list[int](), list[Slot]()
    slots = Slots(gone.extend, lambda _: None)
    held, late = unanswered(slots, 9), unanswered(slots, 1)
    late.enter(lambda: entered.append(1))
    slots.pass_time(2.0)
    held.enter(lambda: entered.append(9))
    late.enter(lambda: entered.append(1))
    assert (entered, gone) == ([9], [])
    held.settle(_one)
    assert gone == [held, late]


def test_once_stopped_nothing_enters_leaves_or_is_settled() -> None:
    gone, stopped = list[Slot](), list[str]()
    slots = Slots(gone.extend, lambda _: None)
    slot = unanswered(slots)
    slot.stopped = lambda: stopped.append("stopped")
    slots.stop()
    slot.enter(lambda: stopped.append("entered"))
    assert not slot.settle(_one)
    slot.stop()
    assert (gone, stopped, slots.size) == ([], ["stopped"], 0)


def _one() -> Value:
    return long(1)
