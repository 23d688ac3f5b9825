"""The wheel holds everything a user needs, and works where the repository is not."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("reelbatch", "flows", "tasks")
MANIFEST = "prompt,seed\nA lighthouse at dawn,7\nA baker and her bread,8\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without a network: hatchling is here already."""
    folder = tmp_path_factory.mktemp("wheel")
    _python(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, at=REPOSITORY)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment, with our wheel and the libraries of this one.

    The libraries are borrowed: downloading them again would take a gigabyte.
    """
    environment = tmp_path_factory.mktemp("venv")
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    _python(*pip, "--no-deps", "--no-index", wheel)
    _borrow_libraries(python)
    return python.parent


def _borrow_libraries(python: Path) -> None:
    """After its own: and without the editable install, which would bring the repository in."""
    libraries = Path(sysconfig.get_path("purelib"))
    site = _python(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    (Path(site.strip()) / "borrowed.pth").write_text(f"{libraries}\n")


def _python(*command: str | Path, at: Path | None = None) -> str:
    done = subprocess.run([*map(str, command)], cwd=at, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    """Templates, migrations and typed markers too, not only Python."""
    tracked = _python("git", "ls-files", *PACKAGES, at=REPOSITORY).splitlines()
    assert any(name.startswith("flows/") for name in tracked)
    assert any(name.startswith("tasks/") for name in tracked)
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert set(tracked) - packed == set()


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    inside = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in inside if not name.endswith(".dist-info")} == set(PACKAGES)


def test_the_installed_command_is_not_the_repositorys(installed: Path, tmp_path: Path) -> None:
    where = "import reelbatch, flows, tasks; print(reelbatch.__file__, flows.__path__)"
    found = _python(installed / "python", "-c", where, at=tmp_path)
    assert str(REPOSITORY) not in found.replace(str(REPOSITORY / ".venv"), "")
    assert str(installed.parent) in found


def test_the_installed_command_helps(installed: Path, tmp_path: Path) -> None:
    assert "reelbatch" in _python(installed / "reelbatch", "--help", at=tmp_path)


def test_the_installed_command_plans_from_any_folder(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "reels.csv").write_text(MANIFEST)
    planned = _python(installed / "reelbatch", "plan", "reels.csv", "--json", at=tmp_path)
    assert '"rows": 2' in planned
