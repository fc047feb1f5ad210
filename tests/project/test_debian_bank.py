"""The bank of Debian's recordings: its script, on a package of the test, and its lists."""

import csv
import hashlib
import shutil
import struct
import subprocess
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scripts import debian_bank, debian_packages
from train.mixing.soundbank import Soundbank

LABELS = {
    *("Alarm_bell_ringing", "Blender", "Cat", "Dishes", "Dog", "Frying", "Speech"),
    *("Electric_shaver_toothbrush", "Running_water", "Vacuum_cleaner"),
}
needs_dpkg = pytest.mark.skipif(
    shutil.which("dpkg-deb") is None, reason="takes dpkg-deb"
)


def tone(seconds: float, rate: int = 16000) -> np.ndarray:
    return 0.1 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)


def cat(contents: list[bytes]) -> bytes:
    """Pack files as OpenTTD does."""
    table, bodies = b"", b""
    for content in contents:
        offset = 8 * len(contents) + len(bodies)
        table += struct.pack("<II", offset, len(content))
        bodies += b"\x02a\0" + content
    return table + bodies


def archive(mirror: Path) -> str:
    """Make pool/sounds.deb; return its SHA-256."""
    root = mirror / "root"
    sounds = root / "usr/share/sounds"
    sounds.mkdir(parents=True)
    quiet = np.zeros(8000)
    soundfile.write(sounds / "bark1.wav", np.r_[quiet, tone(1.0), quiet], 16000)
    soundfile.write(sounds / "rain.wav", tone(5.0), 16000)
    soundfile.write(sounds / "silent.wav", quiet, 16000)
    content = (sounds / "rain.wav").read_bytes()
    with zipfile.ZipFile(sounds / "all.pk3", "w") as file:
        file.writestr("deep/rain.wav", content)
    (sounds / "all.cat").write_bytes(cat([b"nothing", content]))
    (sounds / "link.wav").symlink_to("/etc/passwd")
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN/control").write_text(
        "Package: sounds\nVersion: 1\nArchitecture: all\n"
        "Maintainer: nobody <nobody@example.org>\nDescription: sounds\n"
    )
    (mirror / "pool").mkdir()
    made = mirror / "pool/sounds.deb"
    subprocess.run(["dpkg-deb", "--build", root, made], check=True, capture_output=True)
    return hashlib.sha256(made.read_bytes()).hexdigest()


def build(tmp_path: Path, clips: list[str], *, sha256: str | None = None) -> int:
    mirror = tmp_path / "mirror"
    found = archive(mirror)
    packages = tmp_path / "packages.csv"
    packages.write_text(
        "package,version,archive,sha256,licence\n"
        f"sounds,1,pool/sounds.deb,{sha256 or found},CC0\n"
    )
    listed = tmp_path / "clips.csv"
    listed.write_text("\n".join(["path,package,members,start_s,duration_s", *clips]))
    return debian_bank.main(
        [
            *("--output", str(tmp_path / "bank"), "--mirror", mirror.as_uri()),
            *("--packages", str(packages), "--clips", str(listed)),
        ]
    )


@needs_dpkg
def test_a_bank_is_cut_out_of_packages_as_the_list_says(tmp_path):
    sounds = "usr/share/sounds"
    clips = [
        f"foreground/Dog/bark.flac,sounds,{sounds}/bark1.wav,,",
        f"foreground/Dog/barks.flac,sounds,{sounds}/bark1.wav|{sounds}/bark1.wav,,",
        f"background/rain/rain.flac,sounds,{sounds}/rain.wav,1.5,2",
    ]
    assert build(tmp_path, clips) == 0
    bank = tmp_path / "bank"
    samples, rate = soundfile.read(bank / "foreground/Dog/bark.flac")
    assert rate == 44100
    assert samples.size == pytest.approx(44100, rel=0.01)  # silence is cut off
    assert np.abs(samples).max() == pytest.approx(10 ** (-3 / 20), rel=0.01)
    assert samples[0] == samples[-1] == 0
    assert soundfile.info(bank / "foreground/Dog/barks.flac").duration == pytest.approx(
        2.2, abs=0.02
    )
    assert soundfile.info(bank / "background/rain/rain.flac").frames == pytest.approx(
        2 * 44100, abs=200
    )
    with (bank / "manifest.csv").open() as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    row = rows["foreground/Dog/bark.flac"]
    assert row["class"] == "Dog"
    assert row["source_repo"] == "Debian sounds"
    assert row["source_recording_id"] == "debian_sounds_bark"
    assert row["license"] == "CC0"
    assert "| sounds | 1 | CC0 | Dog 2, rain 1 |" in (bank / "SOURCES.md").read_text()
    loaded = Soundbank.load(bank, split="train")
    assert {kind: len(each) for kind, each in loaded.background.items()} == {"rain": 1}
    assert len(loaded.foreground["Dog"]) == 2


@needs_dpkg
@pytest.mark.parametrize("member", ["all.pk3!deep/rain.wav", "all.cat!1", "rain.wav"])
def test_a_recording_within_a_container_is_as_the_recording_itself(tmp_path, member):
    clips = [f"background/rain/rain.flac,sounds,usr/share/sounds/{member},,"]
    clips += ["foreground/Dog/bark.flac,sounds,usr/share/sounds/bark1.wav,,"]
    assert build(tmp_path, clips) == 0
    rain = soundfile.info(tmp_path / "bank/background/rain/rain.flac")
    assert rain.duration == pytest.approx(5.0, abs=0.01)


@needs_dpkg
@pytest.mark.parametrize(
    ("clip", "message"),
    [
        ("foreground/Dog/../../x.flac,sounds,usr/share/sounds/rain.wav,,", "path="),
        ("foreground/Dog/x.flac,others,usr/share/sounds/rain.wav,,", "package=others"),
        ("foreground/Dog/x.flac,sounds,usr/share/sounds/link.wav,,", "no regular file"),
        ("foreground/Dog/x.flac,sounds,usr/share/sounds/none.wav,,", "no regular file"),
        ("foreground/Dog/x.flac,sounds,usr/share/sounds/silent.wav,,", "silent"),
        ("foreground/Dog/x.flac,sounds,usr/share/sounds/rain.wav,9,1", "silent"),
        ("foreground/Dog/x.flac,sounds,usr/share/sounds/all.pk3!x.wav,,", "holds no"),
        ("foreground/Dog/x.flac,sounds,usr/share/sounds/all.cat!2,,", "holds no"),
        ("foreground/Dog/x.flac,sounds,usr/share/sounds/all.cat!-1,,", "holds no"),
        ("foreground/Dog/x.flac,sounds,usr/share/sounds/rain.wav!x,,", "damaged"),
        ("foreground/Dog/x.flac,sounds,usr/share/sounds/all.cat!0,,", "all.cat"),
    ],
)
def test_a_list_that_cannot_be_followed_is_an_error_of_one_line(
    tmp_path, capsys, clip, message
):
    assert build(tmp_path, [clip]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.startswith("debian_bank: error: ")
    assert errors.count("\n") == 1


@needs_dpkg
def test_a_package_that_is_not_the_listed_one_is_refused(tmp_path, capsys):
    clip = "foreground/Dog/x.flac,sounds,usr/share/sounds/rain.wav,,"
    assert build(tmp_path, [clip], sha256="0" * 64) == 2
    assert "sha256=" in capsys.readouterr().err
    assert list((tmp_path / "bank.cache").iterdir()) == []


@needs_dpkg
@pytest.mark.parametrize(
    ("limit", "message"), [("MAX_ARCHIVE", "larger"), ("MAX_MEMBER", "larger")]
)
def test_archives_and_their_files_have_bounded_sizes(
    tmp_path, monkeypatch, capsys, limit, message
):
    monkeypatch.setattr(debian_packages, limit, 1000)
    clip = "foreground/Dog/x.flac,sounds,usr/share/sounds/rain.wav,,"
    assert build(tmp_path, [clip]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08",
        struct.pack("<II", 8, 1 << 31),
        struct.pack("<II", 1 << 30, 4),
        struct.pack("<IIII", 16, 4, 1 << 30, 4),
    ],
)
def test_a_damaged_container_is_an_error(tmp_path, content):
    container = tmp_path / "a.cat"
    container.write_bytes(content)
    with pytest.raises(ValueError, match="holds no 1"):
        debian_packages.unpack(container, "1", tmp_path / "out")


@needs_dpkg
def test_a_file_that_is_no_package_is_an_error(tmp_path):
    file = tmp_path / "a.deb"
    file.write_bytes(b"!<arch>\n")
    with pytest.raises(ValueError, match="not a Debian package"):
        debian_packages.extract(file, ["usr/x.wav"], tmp_path)


def test_the_lists_of_the_project_name_labels_and_packages_that_were_not_used_before():
    docs = debian_bank.ROOT / "docs"
    packages, clips = debian_bank.read_lists(
        docs / "debian-packages.csv", docs / "debian-bank.csv"
    )
    parts = {tuple(Path(path).parts[:2]) for path in clips}
    assert {kind for part, kind in parts if part == "foreground"} <= LABELS
    assert not {kind for part, kind in parts if part == "background"} & LABELS
    assert {row["package"] for row in clips.values()} == set(packages)
    taken = ("klettres", "tuxpaint", "sound-theme-", "oxygen", "alsa-", "espeak")
    assert not [name for name in packages if name.startswith(taken)]
    assert all(len(row["sha256"]) == 64 and row["licence"] for row in packages.values())
    stretches = Counter(
        (row["package"], row["members"], row["start_s"]) for row in clips.values()
    )
    assert max(stretches.values()) == 1


def test_a_folder_that_exists_is_not_written_into(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("kept")
    assert debian_bank.main(["--output", str(tmp_path)]) == 2
    assert f"--output {tmp_path}: exists" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]
