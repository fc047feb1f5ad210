"""The settings that people may see hold nothing secret."""

import json

from streamsed.serve.settings import read_serve_settings
from streamsed.serve.settings.in_force import in_force

HOME = """
sensitivity = "high"

[[source]]
name = "kitchen"
url = "rtsp://me:hunter2@camera:554/one?key=hunter2"
ffmpeg_args = ["-headers", "X-Key: hunter2"]
quiet_hours = ["22:00-06:30"]
threshold = {Dog = 0.6}

[[webhook]]
url = "https://hooks.example/hunter2/hunter2?x=hunter2"

[exec]
command = ["true", "--key", "hunter2"]

[mqtt]
url = "mqtt://127.0.0.1:1883"
username = "streamsed"
password_file = "FOLDER/password"

[page]
address = "0.0.0.0:8080"
token_file = "FOLDER/token"
"""


def test_what_is_in_force_is_shown_without_anything_secret(tmp_path):
    for name in ("password", "token"):
        (tmp_path / name).write_text("hunter2 hunter2 hunter2")
        (tmp_path / name).chmod(0o600)
    path = tmp_path / "home.toml"
    path.write_text(HOME.replace("FOLDER", str(tmp_path)))
    shown = in_force(read_serve_settings(path))
    assert "hunter2" not in json.dumps(shown)
    (source,) = shown["sources"]
    assert source["url"].startswith("rtsp://camera:554/one")
    assert source["quiet_hours"] == ["22:00-06:30"]
    assert source["ffmpeg_args"] == "-headers and 1 more"
    assert source["sensitivity"] == "high"
    assert "0.6" in json.dumps(source)
    assert shown["webhooks"][0]["url"] == "https://hooks.example/…"
    assert shown["exec"]["command"] == "true and 2 more"
    assert shown["mqtt"]["password_file"].endswith("password")
    assert "store" not in shown
