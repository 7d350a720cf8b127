"""Token stores over the control socket: values, and the locks under which they are written."""

from sessiond.control.operation import Operation

OPERATIONS: tuple[Operation, ...] = ()
