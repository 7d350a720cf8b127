"""The machine's wall clock is set while the daemon runs: rightly, or by mistake.

Everything is real but the reading of the wall clock: run as a program, this file is the daemon with
a wall clock that is as many seconds wrong as a file says. Who is right is the issuer's to say, by
the `Date` of its answers.
"""

import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import format_datetime
from pathlib import Path
from typing import Self

import pytest

import sessiond.clock
from sessiond.daemon import run
from tests.integration.conftest import Connected
from tests.integration.test_login import pair
from tests.issuer.control import ALWAYS
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.qprocess import QProcess
from tests.running_daemon import READY_WITHIN, RunningDaemon, configuration
