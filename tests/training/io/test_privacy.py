"""Names become salted hashes, the same for the same salt, different for another."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from training.io.privacy import case_id_for, config_dir, hashed, original_name
from training.issues import InputError


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.delenv("HIRESCAM_SALT", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(sys, "platform", "linux")
    return tmp_path


def test_the_salt_of_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIRESCAM_SALT", "one")
    first = hashed("1.2.840.1")
    assert len(first) == 16
    assert int(first, 16) >= 0
    assert (hashed("1.2.840.1"), hashed("1.2.840.2") == first) == (first, False)
    monkeypatch.setenv("HIRESCAM_SALT", "two")
    assert hashed("1.2.840.1") != first


def test_the_salt_is_made_once_and_is_private(home: Path) -> None:
    first = hashed("x")
    salt = config_dir() / "salt"
    assert salt.parent.parent == home / "config"
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600
    assert hashed("x") == first
    assert [item.name for item in salt.parent.iterdir()] == ["salt"]
    salt.unlink()
    assert hashed("x") != first


def test_many_processes_at_once_agree_on_one_salt(home: Path) -> None:
    script = "from training.io.privacy import hashed; print(hashed('x'))"
    started = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=dict(os.environ))  # noqa: S603
        for _ in range(5)
    ]
    names = {process.communicate()[0].strip() for process in started}
    assert len(names) == 1
    assert len(next(iter(names))) == 16


def test_a_damaged_or_unreachable_salt_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config_dir().mkdir(parents=True)
    (config_dir() / "salt").write_text("short")
    with pytest.raises(InputError, match=r"salt.*damaged.*HIRESCAM_SALT"):
        hashed("x")
    (home / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "file"))
    with pytest.raises(InputError, match="HIRESCAM_SALT"):
        hashed("x")


def test_original_names_lose_their_extension_only(tmp_path: Path) -> None:
    (tmp_path / "1.2.840").mkdir()
    names = [original_name(tmp_path / name) for name in ("a.b.nii.gz", "a.zip", "a", "1.2.840")]
    assert names == ["a.b", "a", "a", "1.2.840"]


def test_names_are_kept_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIRESCAM_SALT", "one")
    assert case_id_for("1.2.3") == hashed("1.2.3")
    assert case_id_for("1.2.3", "Doe_Jane") == "Doe_Jane"
