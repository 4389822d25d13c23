"""Sounds to process: a chord each, soft or loud, mono or stereo."""

from pathlib import Path

import numpy as np

from audio.sound import FULL_SCALE, Sound, write

SECONDS = 20
RATE = 44100


def record(number: int, path: Path) -> None:
    """Write the WAV file with this number; the same number sounds the same."""
    moments = np.arange(SECONDS * RATE) / RATE
    pitch = 110 * 2 ** (number / 12)
    chord = sum(np.sin(2 * np.pi * pitch * ratio * moments) for ratio in (1, 5 / 4, 3 / 2))
    swell = np.sin(np.pi * moments * (1 + number % 5) / SECONDS) ** 2
    loudness = 0.02 + 0.9 * (number % 7) / 7
    samples = (chord / 3 * swell * loudness * FULL_SCALE).astype(np.int16)
    write(Sound(np.column_stack([samples] * (1 + number % 2)), RATE), path)
