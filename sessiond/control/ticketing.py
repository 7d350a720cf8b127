"""Tickets over the control socket: their keys, and the exchange of a token for one."""

from sessiond.control.operation import Operation

OPERATIONS: tuple[Operation, ...] = ()
