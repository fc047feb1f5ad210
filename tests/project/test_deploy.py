"""What is in `deploy/` fits the program: the unit, the container, the settings."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from streamsed.serve.settings import read_serve_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCS = DEPLOY.parent / "docs"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_systemd_has_nothing_to_say_of_the_unit(tmp_path):
    unit = (DEPLOY / "streamsed.service").read_text()
    assert "WatchdogSec=" in unit
    assert "Type=notify" in unit
    copy = tmp_path / "streamsed.service"
    copy.write_text(unit.replace("/opt/streamsed/bin/streamsed", "/bin/sh"))
    run = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", copy],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")


def test_the_settings_for_the_container_have_no_mistake(tmp_path):
    text = (DEPLOY / "home.toml").read_text().replace("/data", str(tmp_path))
    for name, content in [
        ("door-camera", "rtsp://me:pass@192.168.1.20/audio"),
        ("mqtt-password", "a password"), ("token", "t" * 40),
    ]:  # fmt: skip
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "home.toml").write_text(text)
    settings = read_serve_settings(tmp_path / "home.toml")
    assert settings.page.host == "0.0.0.0"
    assert {source.name for source in settings.sources} >= {"door"}
    assert [rule.source for rule in settings.rules] == ["door"]


@pytest.mark.parametrize("page", ["sources", "messages", "page", "at-home"])
def test_the_settings_in_the_documentation_have_no_mistake(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("token", "mqtt.password", "hook.secret"):
        (tmp_path / name).write_text("t" * 40)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "notify.sh").write_text("#!/bin/sh\n")
    (tmp_path / "notify.sh").chmod(0o755)
    text = (DOCS / f"{page}.md").read_text()
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert examples
    for example in examples:
        settings = re.sub(r"/etc/streamsed/mqtt-password", "mqtt.password", example)
        settings = settings.replace("/etc/streamsed/", f"{tmp_path}/")
        for name in ("door", "kitchen"):  # sources of other examples
            if f'name = "{name}"' not in settings:
                settings += f'\n[[source]]\nname = "{name}"\nurl = "http://x/{name}"\n'
        (tmp_path / "home.toml").write_text(settings)
        read_serve_settings(tmp_path / "home.toml")


def test_the_containers_have_no_more_rights_than_they_need():
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for service in services.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
        assert "privileged" not in service
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            if source.startswith("./") and source != "./home.toml":
                assert (DEPLOY / source).is_file(), source
    built = services["streamsed"]["build"]
    assert (DEPLOY / built["context"] / built["dockerfile"]).is_file()


def test_the_image_runs_as_a_user_and_looks_whether_sound_flows():
    lines = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ").splitlines()
    words = [line.split(maxsplit=1) for line in lines if line and line[0] not in "# "]
    users = [what for name, what in words if name == "USER"]
    assert users
    assert users[-1] not in ("root", "0")
    port = next(what for name, what in words if name == "EXPOSE")
    check = next(line for line in lines if "healthz" in line)
    assert f":{port}/healthz" in check
    assert re.search(rf':{port}"$', (DEPLOY / "home.toml").read_text(), re.MULTILINE)
