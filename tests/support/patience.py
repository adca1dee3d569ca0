"""How long tests wait. No test fails because the machine is slow or has other work to do: a limit ends what hangs,
nothing else."""

import os
import time

HANG_S = 1800  # for what ends by itself: a process, a request


def patience(seconds):
    """What takes `seconds` on a quiet machine, at the load that there is now. For waits that a failing test sits out to
    their end, as for an element of a page."""
    return seconds * max(1.0, 2 * os.getloadavg()[0] / (os.cpu_count() or 1))


def until(condition, what):
    """The first true value of condition()."""
    end = time.monotonic() + HANG_S
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"it hangs: {what}")
        time.sleep(0.05)
    return value


def until_caught(process, number):
    """Until the process catches a signal: before that it would just end by it."""
    def caught():
        assert process.poll() is None, f"it ended with {process.returncode}"
        with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
            mask = next(int(line.split()[1], 16) for line in status if line.startswith("SigCgt:"))
        return mask >> (number - 1) & 1

    until(caught, f"signal {number} is never caught")
