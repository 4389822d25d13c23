"""Tests of reading, amplifying, drawing and writing sound."""

import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audio.sound import FULL_SCALE, SILENCE_DBFS, Sound, draw, normalise, read, replacing, write


def tone(amplitude: float, channels: int = 1) -> Sound:
    wave_form = np.sin(np.linspace(0, 2000, 22050)) * amplitude * FULL_SCALE
    return Sound(np.repeat(wave_form.astype(np.int16)[:, None], channels, axis=1), 22050)


@pytest.mark.parametrize("amplitude", [0.01, 0.2, 0.9, 1.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_normalised_sound_peaks_at_one_below_full_scale(amplitude: float, channels: int) -> None:
    assert normalise(tone(amplitude, channels)).peak == pytest.approx(-1.0, abs=0.01)


def test_silence_stays_silence() -> None:
    silence = Sound(np.zeros((100, 1), dtype=np.int16), 8000)
    assert silence.peak == SILENCE_DBFS
    assert not normalise(silence).samples.any()


def test_the_lowest_sample_does_not_overflow() -> None:
    lowest = Sound(np.array([[-32768], [100]], dtype=np.int16), 8000)
    assert lowest.peak == pytest.approx(0.0, abs=0.001)
    assert normalise(lowest).samples[0, 0] < 0


def test_a_written_sound_reads_the_same(tmp_path: Path) -> None:
    sound = tone(0.5, channels=2)
    write(sound, tmp_path / "a.wav")
    again = read(tmp_path / "a.wav")
    assert again.rate == sound.rate
    assert np.array_equal(again.samples, sound.samples)


def test_other_widths_are_refused(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "eight.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(bytes(8))
    with pytest.raises(ValueError, match="8 bits"):
        read(tmp_path / "eight.wav")


def test_the_picture_has_the_asked_size_and_shows_the_wave(tmp_path: Path) -> None:
    draw(tone(0.9), tmp_path / "a.png", width=120, height=40)
    with Image.open(tmp_path / "a.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (120, 40))
        assert len(picture.convert("RGB").getcolors() or []) > 1


def test_a_sound_shorter_than_the_picture_is_drawn(tmp_path: Path) -> None:
    draw(Sound(np.array([[1], [-1]], dtype=np.int16), 8000), tmp_path / "short.png")
    assert (tmp_path / "short.png").exists()


def test_a_file_that_fails_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), replacing(path) as target:
        target.write(b"ne")
        raise RuntimeError
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]
    assert path.read_bytes() == b"old"
