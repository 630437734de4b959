from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from training.evaluate.audit.log import VerdictLog, read_log
from training.evaluate.audit.verdicts import Entry, Subject, Verdict, of_model, standing
from training.issues import InputError

MODEL, STORE = "m" * 64, "s" * 64
NODULE = Subject("case-1", "lung nodule")
KINDS = ("ext4", "nfs4")


def entry(subject: Subject = NODULE, verdict: Verdict | None = Verdict.WRONG_ORGAN, **fields: object) -> Entry:
    return Entry(subject, verdict, "", MODEL, STORE, **fields)  # type: ignore[arg-type]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_an_entry_comes_back_whole(tmp_path: Path, kind: str) -> None:
    view = {"slice_mm": 12.5, "methods": ["hirescam"], "zoom": 2.0}
    with VerdictLog(tmp_path, "Ann  Example", kind) as log:
        made = log.add(entry(tags=("fat", "wall"), comment="„Fett“ \n only", view=view, facts={"probability": 0.9}))
    assert made.reviewer == "Ann Example"
    assert made.id
    assert made.time.endswith("+00:00")
    assert read_log(tmp_path) == [made]
    with VerdictLog(tmp_path, "Ann Example", kind) as again:
        assert again.entries() == [made]


def test_the_last_entry_of_each_reviewer_stands(tmp_path: Path, kind: str) -> None:
    with VerdictLog(tmp_path, "A", kind) as first, VerdictLog(tmp_path, "B", kind) as second:
        first.add(entry())
        second.add(entry(verdict=Verdict.UNCLEAR))
        first.add(entry(verdict=Verdict.OUTSIDE_BODY))
        assert [one.verdict for one in second.entries()] == ["wrong organ", "unclear", "outside body"]
        found = standing(second.entries())
    assert {who: one.verdict for (who, _), one in found.items()} == {
        "A": Verdict.OUTSIDE_BODY,
        "B": Verdict.UNCLEAR,
    }


def test_undo_brings_back_what_stood_before_and_leaves_others_alone(tmp_path: Path, kind: str) -> None:
    with VerdictLog(tmp_path, "A", kind) as log, VerdictLog(tmp_path, "B", kind) as other:
        log.add(entry())
        changed = log.add(entry(verdict=Verdict.UNCLEAR))
        other.add(entry(verdict=Verdict.IMAGE_PROBLEM))
        assert log.undo(MODEL) == changed
        assert standing(log.entries())[("A", NODULE)].verdict is Verdict.WRONG_ORGAN
        assert log.undo(MODEL) is not None
        assert ("A", NODULE) not in standing(log.entries())
        assert log.undo(MODEL) is None
        assert standing(log.entries())[("B", NODULE)].verdict is Verdict.IMAGE_PROBLEM
    assert len(read_log(tmp_path)) == 5


def test_undo_keeps_to_the_model_at_hand(tmp_path: Path) -> None:
    with VerdictLog(tmp_path, "A") as log:
        log.add(entry())
        log.add(replace(entry(), model_sha256="another"))
        undone = log.undo(MODEL)
    assert undone is not None
    assert undone.model_sha256 == MODEL


def test_entries_about_another_model_are_counted_but_do_not_count(tmp_path: Path) -> None:
    with VerdictLog(tmp_path, "A") as log:
        log.add(entry())
        log.add(replace(entry(), model_sha256="another"))
        own, others = of_model(log.entries(), MODEL)
    assert len(own) == 1
    assert others == 1


def test_a_clock_that_goes_back_does_not_change_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with VerdictLog(tmp_path, "A") as log:
        first = log.add(entry())
        log._latest = "2999-01-01T00:00:00.000000+00:00"
        second = log.add(entry(verdict=Verdict.UNCLEAR))
    assert second.time > "2999"
    assert read_log(tmp_path) == [first, second]


def test_on_a_local_disk_all_windows_share_a_file_with_a_write_ahead_log(tmp_path: Path) -> None:
    with VerdictLog(tmp_path, "A", "ext4") as one, VerdictLog(tmp_path, "B", "ext4") as two:
        assert one.file == two.file
        mode = one._connection.execute("PRAGMA journal_mode").fetchone()[0]
        durable = one._connection.execute("PRAGMA synchronous").fetchone()[0]
    assert mode == "wal"
    assert durable == 2


def test_on_a_network_every_window_has_its_own_file_without_shared_memory(tmp_path: Path) -> None:
    names = ("A/B", "A_B", "Ärztin", "A/B")
    logs = [VerdictLog(tmp_path, name, "nfs4") for name in names]
    assert len({log.file for log in logs}) == 4
    for log in logs:
        log.add(entry())
        assert log._connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    assert len(read_log(tmp_path)) == 4
    assert not [*tmp_path.glob("*-shm"), *tmp_path.glob("*-wal")]
    for log in logs:
        log.close()
    with VerdictLog(tmp_path, "A/B", "nfs4") as again:
        assert again.file == logs[0].file


def test_the_file_of_a_window_that_died_is_taken_up_again(tmp_path: Path) -> None:
    script = "import os, sys; from training.evaluate.audit.log import VerdictLog\n"
    script += "print(VerdictLog(sys.argv[1], 'A', 'nfs4').file.name, flush=True); os._exit(9)"
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)  # noqa: S603
    with VerdictLog(tmp_path, "A", "nfs4") as log:
        assert log.file.name == done.stdout.strip()


def test_the_file_of_a_window_on_another_machine_is_left_alone(tmp_path: Path) -> None:
    with VerdictLog(tmp_path, "A", "nfs4") as log:
        first = log.file
    first.with_suffix(".lock").write_text(f"another {os.getpid()}")
    with VerdictLog(tmp_path, "A", "nfs4") as log:
        assert log.file != first


def test_files_of_both_kinds_are_merged(tmp_path: Path) -> None:
    with VerdictLog(tmp_path, "A", "ext4") as log:
        log.add(entry())
    with VerdictLog(tmp_path, "B", "nfs4") as log:
        log.add(entry())
        assert len(log.entries()) == 2
    with VerdictLog(tmp_path, "A", "ext4") as log:
        assert len(log.entries()) == 2


def test_threads_and_windows_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    def write(name: str) -> None:
        with VerdictLog(tmp_path, name, "ext4") as log:
            for number in range(20):
                log.add(entry(Subject(f"case-{number}", "lung nodule")))

    threads = [threading.Thread(target=write, args=(f"R{k}",)) for k in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(standing(read_log(tmp_path))) == 100


def test_what_a_killed_window_left_half_written_is_read_without_touching_it(tmp_path: Path) -> None:
    live, dead = tmp_path / "live", tmp_path / "dead"
    with VerdictLog(live, "A", "nfs4") as log:
        kept = log.add(entry())
        connection = log._connection
        connection.execute("PRAGMA cache_size=1")
        connection.execute("BEGIN IMMEDIATE")
        row = kept.to_row()
        for number in range(200):  # more than the cache holds, so that pages reach the file before the commit
            fresh = {**row, "id": f"{number}", "comment": "x" * 4000}
            connection.execute(f"INSERT INTO entries ({','.join(fresh)}) VALUES ({','.join('?' * len(fresh))})",  # noqa: S608
                               tuple(fresh.values()))  # fmt: skip
        shutil.copytree(live, dead)
        connection.execute("ROLLBACK")
    before = {file.name: file.read_bytes() for file in dead.iterdir()}
    assert any(name.endswith("-journal") for name in before)
    assert read_log(dead) == [kept]
    assert {file.name: file.read_bytes() for file in dead.iterdir()} == before


def test_refusals_name_the_file_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--reviewer"):
        VerdictLog(tmp_path, "  ")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "verdicts.sqlite").write_bytes(b"not a database, but long enough to be looked at" * 50)
    with pytest.raises(InputError, match=r"verdicts\.sqlite: is damaged"):
        read_log(damaged)
    newer = tmp_path / "newer"
    with VerdictLog(newer, "A", "ext4"):
        pass
    with sqlite3.connect(newer / "verdicts.sqlite") as connection:
        connection.execute("PRAGMA user_version=7")
    connection.close()
    for refused in (lambda: read_log(newer), lambda: VerdictLog(newer, "A", "ext4")):
        with pytest.raises(InputError, match="schema 7"):
            refused()
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match="Move it away"):
        VerdictLog(file, "A")
    assert read_log(tmp_path / "nothing there") == []


WRITER = """
import json, sys
from training.evaluate.audit.log import VerdictLog
from training.evaluate.audit.verdicts import Entry, Subject, Verdict
print("ready", flush=True)
for line in sys.stdin:
    folder, name, kind = json.loads(line)
    import os
    if os.fork() == 0:
        log = VerdictLog(folder, name, kind)
        print(json.dumps(["pid", os.getpid()]), flush=True)
        number = 0
        while True:
            made = log.add(Entry(Subject(f"{number}", "lung nodule"), Verdict.UNCLEAR, "", "m", "s", comment="x" * 300))
            os.write(1, (json.dumps(["ack", made.id]) + chr(10)).encode())
            number += 1
    else:
        os.wait()
        print(json.dumps(["dead", 0]), flush=True)
"""
"""Forks a writer for every line it reads; importing once keeps a hundred of them quick."""


@pytest.mark.skipif(os.name == "nt", reason="there is no kill -9")
def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path: Path, kind: str) -> None:
    times = 100
    waits = random.Random(7)  # noqa: S311
    acknowledged: set[str] = set()
    command = [sys.executable, "-c", WRITER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:  # noqa: S603
        assert parent.stdin is not None
        assert parent.stdout is not None
        read: Callable[[], str] = parent.stdout.readline
        assert read() == "ready\n"
        for number in range(times):
            parent.stdin.write(json.dumps([str(tmp_path), "A", kind]) + "\n")
            parent.stdin.flush()
            _, pid = json.loads(read())
            if number % 2:  # while it writes; else while it opens the file
                acknowledged.add(json.loads(read())[1])
            time.sleep(waits.uniform(0, 0.02))
            os.kill(pid, signal.SIGKILL)
            while (message := json.loads(read()))[0] == "ack":
                acknowledged.add(message[1])
        parent.stdin.close()
    kept = {one.id for one in read_log(tmp_path)}
    with VerdictLog(tmp_path, "A", kind) as log:
        assert {one.id for one in log.entries()} >= kept
    assert len(acknowledged) >= times // 2
    assert acknowledged <= kept
