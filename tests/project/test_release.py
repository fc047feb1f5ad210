"""Releases: one version everywhere, a changelog with links, actions that cannot change."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

import pytest
import yaml

import streamsed
from scripts.release import notes, part_of, release, released, version_of

ROOT = Path(__file__).parents[2]
CHANGELOG = """# Changelog

## [Unreleased]

### Added

- Ears.

[Unreleased]: ../../commits/HEAD
"""


def test_the_version_is_defined_in_one_place_and_is_the_same_everywhere():
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text()
    assert version_of(ROOT) == streamsed.__version__ == installed_version("streamsed")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == streamsed.__version__


def test_every_version_of_the_changelog_has_its_link():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[([^\]]+)\]", text, flags=re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.findall(r"^\[([^\]]+)\]: ", text, flags=re.MULTILINE) == headings


def test_a_release_dates_the_changelog_and_links_each_version_to_the_one_before():
    first = released(CHANGELOG, "0.1.0", "2026-12-01")
    assert (
        "## [Unreleased]\n\n## [0.1.0] - 2026-12-01\n\n### Added\n\n- Ears.\n" in first
    )
    assert part_of(first, "0.1.0") == "### Added\n\n- Ears.\n"
    more = first.replace("## [Unreleased]\n", "## [Unreleased]\n\n- Eyes.\n", 1)
    second = released(more, "0.2.0", "2026-12-24")
    assert part_of(second, "0.2.0") == "- Eyes.\n"
    assert part_of(second, "0.1.0") == "### Added\n\n- Ears.\n"
    assert second.endswith(
        "[Unreleased]: ../../compare/v0.2.0...HEAD\n"
        "[0.2.0]: ../../compare/v0.1.0...v0.2.0\n"
        "[0.1.0]: ../../releases/tag/v0.1.0\n"
    )


@pytest.mark.parametrize(
    ("changelog", "version", "reason"),
    [
        (released(CHANGELOG, "0.1.0", "2026-12-01"), "0.2.0", "nothing under"),
        (
            released(CHANGELOG, "0.1.0", "2026-12-01").replace(
                "## [Unreleased]\n", "## [Unreleased]\n\n- Eyes.\n", 1
            ),
            "0.1.0",
            "released already",
        ),
    ],
)
def test_a_release_without_entries_or_already_made_is_refused(
    changelog, version, reason
):
    with pytest.raises(ValueError, match=reason):
        released(changelog, version, "2026-12-02")


def test_a_release_writes_all_places_and_its_tag_has_notes(tmp_path):
    for name in ("CHANGELOG.md", "CITATION.cff", "streamsed/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for day, version in (("2027-01-01", "9.8.0"), ("2027-01-02", "9.8.1rc1")):
        release(tmp_path, version, day)
        assert version_of(tmp_path) == version
        cited = yaml.safe_load((tmp_path / "CITATION.cff").read_text(encoding="utf-8"))
        assert cited["version"] == version
        assert str(cited["date-released"]) == day
        assert len(notes(tmp_path, f"v{version}")) > 0
        log = tmp_path / "CHANGELOG.md"
        log.write_text(
            log.read_text(encoding="utf-8").replace(
                "## [Unreleased]\n", "## [Unreleased]\n\n- More.\n", 1
            ),
            encoding="utf-8",
        )
    with pytest.raises(ValueError, match=r"the tag v9\.8\.0 must be v9\.8\.1rc1"):
        notes(tmp_path, "v9.8.0")
    with pytest.raises(ValueError, match="must be like"):
        release(tmp_path, "v9.9", "2027-01-03")


def test_a_wrong_tag_ends_in_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "scripts.release", "--notes", "v77.0.0"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert done.stderr == f"release: the tag v77.0.0 must be v{streamsed.__version__}\n"


def steps_of(workflow):
    for job in workflow["jobs"].values():
        yield from job["steps"]


@pytest.mark.parametrize("name", ["release.yml", "test.yml"])
def test_workflows_use_actions_by_their_commit(name):
    text = (ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8")
    used = [step["uses"] for step in steps_of(yaml.safe_load(text)) if "uses" in step]
    assert len(used) >= 4
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) for action in used)


def test_a_release_is_built_by_packages_of_a_known_version():
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    commands = [step.get("run", "") for step in steps_of(yaml.safe_load(text))]
    installed = [command for command in commands if "pip install" in command]
    assert len(installed) == 2
    assert all("==" in command for command in installed)


def test_the_templates_and_the_pre_commit_file_are_yaml_and_run_what_make_lint_runs():
    for path in (ROOT / ".github").rglob("*.yml"):
        assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)
    hooks = yaml.safe_load(
        (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    )
    (hook,) = (hook for repository in hooks["repos"] for hook in repository["hooks"])
    assert hook["entry"] == "make lint"
    assert re.search(hook["files"], "csrc/kernels/kernels.cpp")
    assert re.search(hook["files"], "pyproject.toml")
    assert not re.search(hook["files"], "docs/index.md")
