"""What every change of the table has in common."""

from typing import Generic, TypeVar

A = TypeVar("A", covariant=True)


class Change(Generic[A]):
    """A request to change the rows; `A` is what it is answered with.

    One that is answered with a refusal writes nothing.
    """

    __slots__ = ()
