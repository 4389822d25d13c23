"""Sound as arrays: read, write, measure, amplify, draw. Knows files, but neither tables nor tasks."""

import math
import os
import tempfile
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

FULL_SCALE = 32767
SILENCE_DBFS = -120.0

Samples = NDArray[np.int16]


@dataclass(frozen=True)
class Sound:
    """Sixteen-bit samples, a row a frame and a column a channel."""

    samples: Samples
    rate: int

    @property
    def peak(self) -> float:
        """The loudest sample in dBFS, 0 being the loudest that the format can hold."""
        # int16 has no 32768, so that abs() of the lowest sample would come out negative
        loudest = int(np.abs(self.samples.astype(np.int32)).max(initial=0))
        return 20 * math.log10(loudest / FULL_SCALE) if loudest else SILENCE_DBFS


def read(path: Path) -> Sound:
    with wave.open(str(path), "rb") as file:
        if file.getsampwidth() != 2:
            raise ValueError(f"{path.name} has {8 * file.getsampwidth()} bits a sample; only 16 are understood")
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, file.getnchannels())
        return Sound(samples, file.getframerate())


def write(sound: Sound, path: Path) -> None:
    with replacing(path) as target, wave.open(target, "wb") as file:
        file.setnchannels(sound.samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        file.writeframes(sound.samples.astype("<i2").tobytes())


def normalise(sound: Sound, peak: float = -1.0) -> Sound:
    """Return the sound so amplified that its peak is ``peak`` dBFS; silence stays silence."""
    if sound.peak == SILENCE_DBFS:
        return sound
    gain = 10 ** ((peak - sound.peak) / 20)
    amplified = np.rint(sound.samples * gain).clip(-FULL_SCALE, FULL_SCALE)
    return Sound(amplified.astype(np.int16), sound.rate)


def draw(sound: Sound, path: Path, width: int = 800, height: int = 160) -> None:
    """Write a picture of the waveform: for each column the lowest and the highest sample in it."""
    # Drawn twice as large and then reduced, since Pillow's lines have hard edges.
    columns, middle = 2 * width, height
    picture = Image.new("RGB", (columns, 2 * height), "#0c4b33")
    pen = ImageDraw.Draw(picture)
    for x, part in enumerate(np.array_split(sound.samples, columns)):
        if part.size:
            low, high = (int(edge) * middle / FULL_SCALE for edge in (part.min(), part.max()))
            pen.line([(x, middle - high), (x, middle - low)], fill="#c9f0dd")
    with replacing(path) as target:
        picture.resize((width, height), Image.Resampling.LANCZOS).save(target, "PNG")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that becomes ``path`` only when it is whole: a worker may be killed at any byte."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as target:
        try:
            yield target.file  # type: ignore[misc]  # typeshed calls the inner file a wrapper
            target.flush()
            os.replace(target.name, path)
        except BaseException:
            os.unlink(target.name)
            raise
