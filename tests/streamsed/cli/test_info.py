"""What `streamsed info` shows."""

import hashlib

from tables import shown

from streamsed.cli.info import info_table
from streamsed.inference.model_file import ModelFile


def test_info_shows_what_the_model_file_says(make_model, tmp_path):
    path = make_model(tmp_path / "m.pt", labels=("Dog [bark]", "Cat"))
    text = shown(info_table(ModelFile.open(path)))
    for expected in (
        "tiny",
        hashlib.sha256(path.read_bytes()).hexdigest(),
        "exported by you",
        "Dog [bark], Cat",
        "step 5.0 s, latency 10.0 s",
        "event F1 (%)",
        "12.5",
        "preset",
        "22 weights",
        "min duration",
        "0.2",
    ):
        assert expected in text
