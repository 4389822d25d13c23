"""Frames between supervisor and child."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from djtasks.worker.wire import Channel

Pair = tuple[Channel, Channel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = (Channel(end) for end in socket.socketpair())
    yield ours, theirs
    ours.close()
    theirs.close()


def read(channel: Channel, count: int) -> list[list[object]]:
    frames: list[list[object]] = []
    for frame in channel.frames():
        frames.append(frame)
        if len(frames) == count:
            break
    return frames


def test_frames_arrive_whole_and_in_order(pair: Pair) -> None:
    ours, theirs = pair
    sent = [["run", {"text": "line\nbreak \u2028 \0 \U0001f600"}, 1.5, None, True], ["stop"], ["empty", ""]]
    for frame in sent:
        ours.send(*frame)
    assert read(theirs, 3) == sent


def test_frames_larger_than_any_buffer_arrive(pair: Pair) -> None:
    ours, theirs = pair
    text = "x" * 3_000_000
    sender = threading.Thread(target=ours.send, args=("run", text))
    sender.start()
    assert read(theirs, 1) == [["run", text]]
    sender.join()


def test_threads_do_not_mix_their_frames(pair: Pair) -> None:
    ours, theirs = pair
    senders = [threading.Thread(target=ours.send, args=(str(number), "x" * 500_000)) for number in range(8)]
    for sender in senders:
        sender.start()
    assert sorted(str(frame[0]) for frame in read(theirs, 8)) == [str(number) for number in range(8)]
    for sender in senders:
        sender.join()


def test_to_post_waits_for_nobody(pair: Pair) -> None:
    """A3: what the socket does not take is kept, in order, until it does."""
    ours, theirs = pair
    frames = [[f"frame {number}", "x" * 500_000] for number in range(5)]
    for frame in frames:
        ours.post(*frame)
    assert ours.is_stuffed
    found: list[list[object]] = []
    while len(found) < 5:
        found += theirs.receive() or []
        ours.flush()
    assert found == frames
    assert not ours.is_stuffed


def test_end_of_the_other_side_is_told(pair: Pair) -> None:
    ours, theirs = pair
    theirs.send("last word")
    theirs.close()
    assert list(ours.frames()) == [["last word"]]
    assert ours.receive() is None
    with pytest.raises(OSError):
        ours.send("hello")
    with pytest.raises(OSError):
        ours.post("hello")


def test_half_a_frame_is_none(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sock.sendall(b'["whole"]\n["half')
    assert ours.receive() == [["whole"]]
    theirs.close()
    assert ours.receive() is None
