"""The cache of prepared CTs: exact, found by content, safe under several processes and under kill -9, nobody's name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from training.cohort import cache as cache_module
from training.cohort.cache import VolumeCache, is_complete
from training.geometry import Geometry
from training.issues import InputError
from training.preprocess import InputSpec, ModelInput, prepare
from training.volume import Volume

SPEC = InputSpec((3.0, 1.5, 1.5), (12, 20, 20))

EXPECTED_ROW = [-455, -458, -493, -521, -829, 3, 722, 57, -198, -1000]
EXPECTED_SUM = -138289

FILLER = """
import sys
from pathlib import Path
import numpy as np
from training.cohort.cache import VolumeCache
from training.geometry import Geometry
from training.preprocess import InputSpec, ModelInput
folder, sources = Path(sys.argv[1]), sorted(Path(sys.argv[2]).iterdir())
spec = InputSpec((3.0, 1.5, 1.5), (12, 20, 20))
geometry = Geometry.canonical(spec.shape, spec.spacing_mm, (1.0, 2.0, 3.0))
for source in sources:
    sys.stdin.readline()
    made = []
    def make():
        made.append(1)
        return ModelInput(np.load(source, allow_pickle=False), geometry, spec)
    VolumeCache(folder).get(source, spec, make)
    print("made" if made else "kept", flush=True)
"""


def _hu(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1000, 1000, SPEC.shape, dtype=np.int16)


def _input(seed: int = 0, spec: InputSpec = SPEC) -> ModelInput:
    hu = np.random.default_rng(seed).integers(-1000, 1000, spec.shape, dtype=np.int16)
    return ModelInput(hu, Geometry.canonical(spec.shape, spec.spacing_mm, (1.0, 2.0, 3.0)), spec)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "Miller^Anna.npz"
    path.write_bytes(b"the bytes of a CT")
    return path


def never() -> ModelInput:
    raise AssertionError("the CT was prepared again")


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_what_is_kept_comes_back_exactly(source: Path, tmp_path: Path, codec: str) -> None:
    cache = VolumeCache(tmp_path / "cache", codec)  # type: ignore[arg-type]
    made = _input()
    assert cache.get(source, SPEC, lambda: made) is made
    again = cache.get(source, SPEC, never)
    np.testing.assert_array_equal(again.hu, made.hu)
    np.testing.assert_array_equal(again.geometry.affine, made.geometry.affine)
    assert again.spec == SPEC


def test_chunks_are_whole_slice_groups_even_of_constant_values(source: Path, tmp_path: Path) -> None:
    spec = InputSpec((1.0, 1.0, 1.0), (93, 8, 8))
    cache = VolumeCache(tmp_path / "cache")
    empty = ModelInput(np.zeros(spec.shape, np.int16), Geometry.canonical(spec.shape, spec.spacing_mm), spec)
    assert cache.open(source, spec) is None
    cache.get(source, spec, lambda: empty)
    array = cache.open(source, spec)
    assert array is not None
    assert array.chunks == (45, 8, 8)
    assert len(list((cache.place(source, spec) / "c").glob("*/*/*"))) == 3
    np.testing.assert_array_equal(cache.get(source, spec, never).hu, 0)


def test_entries_follow_content_details_spec_and_version(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = VolumeCache(tmp_path / "cache")
    places = [cache.place(source, SPEC)]
    places.append(cache.place(source, SPEC, {"slope": "2"}))
    places.append(cache.place(source, InputSpec((3.0, 1.5, 1.5), (9, 20, 20))))
    monkeypatch.setattr(cache_module, "PREPROCESSING", cache_module.PREPROCESSING + 1)
    places.append(cache.place(source, SPEC))
    source.write_bytes(b"other bytes, same name")
    places.append(cache.place(source, SPEC))
    assert len(set(places)) == 5
    moved = tmp_path / "moved.npz"
    moved.write_bytes(source.read_bytes())
    assert cache.place(moved, SPEC) == places[-1]


def test_bytes_are_read_again_only_if_the_file_changed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = VolumeCache(tmp_path / "cache")
    digest = cache.digest(source)
    monkeypatch.setattr(cache_module, "_content_digest", lambda path: "read again")
    assert cache.digest(source) == digest
    os.utime(source, ns=(1, 1))
    assert cache.digest(source) == "read again"


def test_a_folder_is_known_by_all_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    (folder / "1.dcm").write_bytes(b"one")
    cache = VolumeCache(tmp_path / "cache")
    first = cache.digest(folder)
    (folder / "2.dcm").write_bytes(b"two")
    assert cache.digest(folder) != first
    with pytest.raises(InputError, match="gone: cannot be read"):
        cache.digest(tmp_path / "gone")


@pytest.mark.parametrize("damage", ["missing chunk", "short chunk", "changed chunk", "no metadata", "bad metadata"])
def test_damage_is_seen_and_mended(source: Path, tmp_path: Path, damage: str) -> None:
    cache = VolumeCache(tmp_path / "cache")
    made = _input()
    cache.get(source, SPEC, lambda: made)
    place = cache.place(source, SPEC)
    chunk, metadata = next((place / "c").glob("*/*/*")), place / "zarr.json"
    content = chunk.read_bytes()
    if damage == "missing chunk":
        chunk.unlink()
    elif damage == "no metadata":
        metadata.unlink()
    elif damage == "bad metadata":
        metadata.write_text("{", encoding="utf-8")
    else:
        middle = len(content) // 2
        changed = bytes([content[middle] ^ 255])
        chunk.write_bytes(
            content[:-5] if damage == "short chunk" else content[:middle] + changed + content[middle + 1 :]
        )
    calls: list[int] = []
    again = cache.get(source, SPEC, lambda: calls.append(1) or made)  # type: ignore[func-returns-value]
    assert calls == [1]
    np.testing.assert_array_equal(again.hu, made.hu)
    np.testing.assert_array_equal(cache.get(source, SPEC, never).hu, made.hu)


def test_nothing_says_whose_ct_it_is(source: Path, tmp_path: Path) -> None:
    cache = VolumeCache(tmp_path / "cache")
    cache.get(source, SPEC, _input)
    for path in (tmp_path / "cache").rglob("*"):
        assert "Miller" not in path.name
        assert path.is_dir() or b"Miller" not in path.read_bytes()


def test_a_wrong_specification_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="another specification"):
        VolumeCache(tmp_path).get(source, SPEC, lambda: _input(spec=InputSpec((1.0, 1.0, 1.0), (3, 4, 4))))


def _sources(folder: Path, n: int) -> Path:
    folder.mkdir()
    for seed in range(n):
        np.save(folder / f"{seed:02d}.npy", _hu(seed))
    return folder


def _fill(cache: Path, sources: Path) -> subprocess.Popen[str]:
    """Start filling; each CT waits for a line on standard input."""
    command = [sys.executable, "-c", FILLER, str(cache), str(sources)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603


def _check_all(cache: VolumeCache, sources: Path) -> None:
    for seed, path in enumerate(sorted(sources.iterdir())):
        np.testing.assert_array_equal(cache.get(path, SPEC, never).hu, _hu(seed))


def test_a_killed_process_leaves_only_whole_entries_and_another_goes_on(tmp_path: Path) -> None:
    sources, folder = _sources(tmp_path / "sources", 20), tmp_path / "cache"
    cache, done = VolumeCache(folder), 0
    for pause in (0.0, 0.004):
        with _fill(folder, sources) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for _ in range(done + 4):
                process.stdin.write("\n")
                process.stdin.flush()
                assert process.stdout.readline()
            process.stdin.write("\n")
            process.stdin.flush()
            time.sleep(pause)  # killed while it makes one more
            process.send_signal(signal.SIGKILL)
        entries = [p for p in folder.glob("??/*") if not p.name.startswith(".partial")]
        assert all(is_complete(entry) for entry in entries)
        done = len(entries)
    assert 8 <= done <= 10
    last = _fill(folder, sources)
    output = last.communicate("\n" * 20)[0].split()
    assert last.returncode == 0
    assert output.count("kept") == done
    assert output.count("made") == 20 - done
    _check_all(cache, sources)


def test_several_processes_fill_one_cache(tmp_path: Path) -> None:
    sources, folder = _sources(tmp_path / "sources", 12), tmp_path / "cache"
    processes = [_fill(folder, sources) for _ in range(2)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n" * 12)
        process.stdin.flush()
    outputs = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert [len(output) for output in outputs] == [12, 12]
    _check_all(VolumeCache(folder), sources)
    assert list(folder.rglob(".partial*")) == []


def test_a_race_for_one_entry_is_no_error(source: Path, tmp_path: Path) -> None:
    cache, made = VolumeCache(tmp_path / "cache"), _input()

    def make_while_another_does() -> ModelInput:
        cache.get(source, SPEC, lambda: made)
        return made

    assert cache.get(source, SPEC, make_while_another_does) is made
    np.testing.assert_array_equal(cache.get(source, SPEC, never).hu, made.hu)


def test_the_version_stands_for_what_preparing_computes() -> None:
    """If this fails, what `prepare` computes has changed: raise ``PREPROCESSING``, then renew the numbers."""
    s, r, c = np.meshgrid(np.arange(7), np.arange(9), np.arange(8), indexing="ij")
    hu = ((s * 131 + r * r * 17 - c * c * c * 5) % 1900 - 1000).astype(np.int16)
    volume = Volume(hu, Geometry.canonical(hu.shape, (2.0, 1.3, 1.1)))
    out = prepare(volume, InputSpec((1.5, 1.0, 1.0), (6, 8, 10))).hu
    assert cache_module.PREPROCESSING == 1
    np.testing.assert_allclose(out[2, 3], EXPECTED_ROW, atol=1)
    assert abs(int(out.astype(np.int64).sum()) - EXPECTED_SUM) < 200
