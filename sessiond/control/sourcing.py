"""Tokens for data sources over the control socket."""

from sessiond.control.operation import Operation

OPERATIONS: tuple[Operation, ...] = ()
