"""The program of a pool child: it makes Django ready, then serves."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys

from djtasks.worker.wire import Channel

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process with its parent; elsewhere the end of the socket tells."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def main() -> None:
    """Start as the supervisor has asked in the environment and in the first frame."""
    fd, parent = int(os.environ.pop("DJTASKS_CHILD_FD")), int(os.environ.pop("DJTASKS_CHILD_PARENT"))
    original = os.environ.pop("DJTASKS_CHILD_PYTHONPATH")
    os.environ.pop("PYTHONPATH", None)
    if original:
        os.environ["PYTHONPATH"] = original
    die_with_parent(parent)
    # A terminal and a service manager signal the whole group; the supervisor alone decides. Not SIG_IGN, which
    # programs that a task starts would inherit.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    channel = Channel(socket.socket(fileno=fd))
    import django

    django.setup()
    from djtasks import signals
    from djtasks.worker.garbage import freeze
    from djtasks.worker.isolation import close_all
    from djtasks.worker.logs import set_up_logging
    from djtasks.worker.looping import LoopChild
    from djtasks.worker.serving import ProcessChild, ThreadsChild

    kinds = {"processes": ProcessChild, "threads": ThreadsChild, "eventloop": LoopChild}
    frames = channel.frames()
    _, kind, slots, worker_id, hostname, reports_memory, logging = next(frames, None) or sys.exit(1)
    set_up_logging(*logging)
    signals.send(signals.worker_process_init, None)
    freeze()
    try:
        kinds[kind](channel, frames, slots, worker_id, hostname, reports_memory).run()
    except BrokenPipeError:
        os._exit(1)
    signals.send(signals.worker_process_shutdown, None, pid=os.getpid(), exitcode=0)
    close_all()


if __name__ == "__main__":
    main()
