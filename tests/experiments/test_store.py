"""The store: what goes in comes out, once, whoever dies or writes at the same time."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from xai_layermask.errors import InputError
from xai_layermask.experiments import Store, Trial

TRIAL = Trial("lime", "{}", "lite0", "ab", "layer", "slic", "a.jpg", "cd", 0, "float32", "0.1.0")

WRITER = """
import sys
from xai_layermask.experiments import Store, Trial
path, start, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with Store(path) as store:
    for number in range(start, start + count):
        trial = Trial("lime", "{}", "lite0", "ab", "layer", "slic", f"{number}.jpg", "cd", 0, "float32", "0.1.0")
        store.put(trial, [{"number": number, "rest": "x" * 3000}], 0.0, sys.argv[2])
        print(number, flush=True)
"""


def writer(path, start, count):
    command = [sys.executable, "-c", WRITER, str(path), str(start), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


# A store as the version that called trials units wrote it.
OLD = """
CREATE TABLE units (key TEXT PRIMARY KEY, protocol TEXT NOT NULL, settings TEXT NOT NULL, model TEXT NOT NULL,
model_digest TEXT NOT NULL, masking TEXT NOT NULL, segments TEXT NOT NULL, picture TEXT NOT NULL,
picture_digest TEXT NOT NULL, seed INTEGER NOT NULL, precision TEXT NOT NULL, version TEXT NOT NULL,
rows TEXT NOT NULL, seconds REAL NOT NULL, worker TEXT NOT NULL, finished TEXT NOT NULL);
INSERT INTO units VALUES('2fee4aa29a54d56f5bbeb1206a47061736214fb0f323989f7e2c836bc9ef556e', 'lime', '{}', 'lite0',
'ab', 'layer', 'slic', 'a.jpg', 'cd', 0, 'float32', '0.1.0', '[{"alignment":0.5,"r2":null}]', 1.5, 'here',
'2026-11-25T18:57:25Z');
PRAGMA application_id = 1481395539;
PRAGMA user_version = 1;
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.db"


def test_removed_trials_are_new_again(path):
    other = dataclasses.replace(TRIAL, seed=1)
    with Store(path) as store:
        for trial in (TRIAL, other):
            store.put(trial, [], 1.0, "here")
        store.remove({TRIAL.key, "unknown"})
        assert list(store.trials()) == [other]
        assert store.put(TRIAL, [], 1.0, "here")


def test_rows_come_back_as_they_went_in(path):
    rows = [{"order": "random", "fraction": 0.1, "label": 3, "kept": True, "r2": None}, {"word": "h\u00e9 \u2028"}, {}]
    with Store(path) as store:
        assert store.put(TRIAL, rows, 1.0, "here")
    with Store(path, create=False) as store:
        assert list(store.rows()) == [(TRIAL, rows)]
        assert list(store.trials()) == [TRIAL]
        assert len(store) == 1


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Trial)])
def test_every_field_changes_the_key(field):
    other = dataclasses.replace(TRIAL, **{field: 1 if field == "seed" else getattr(TRIAL, field) + "x"})
    assert other.key != TRIAL.key


def test_key_is_the_digest_of_canonical_json():
    text = json.dumps(dict(sorted(dataclasses.asdict(TRIAL).items())), separators=(",", ":"))
    assert TRIAL.key == hashlib.sha256(text.encode()).hexdigest()


def test_a_store_of_the_old_version_is_read_and_continued(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD)
    rows = [{"alignment": 0.5, "r2": None}]
    with Store(path, create=False) as store:
        assert list(store.rows()) == [(TRIAL, rows)]
        assert store.done([TRIAL.key]) == {TRIAL.key}
        assert not store.put(TRIAL, rows, 1.0, "here")
        assert store.put(dataclasses.replace(TRIAL, seed=1), rows, 1.0, "here")


def test_words_do_not_flow_from_one_field_into_the_next():
    one = dataclasses.replace(TRIAL, masking="ab", segments="c")
    other = dataclasses.replace(TRIAL, masking="a", segments="bc")
    assert one.key != other.key


def test_a_trial_put_twice_keeps_the_first(path):
    with Store(path) as store:
        assert store.put(TRIAL, [{"a": 1}], 0.0, "first")
        assert not store.put(TRIAL, [{"a": 2}], 0.0, "second")
        assert list(store.rows()) == [(TRIAL, [{"a": 1}])]


def test_done_asks_for_more_keys_than_sqlite_takes_at_once(path):
    trials = [dataclasses.replace(TRIAL, seed=seed) for seed in range(1203)]
    with Store(path) as store:
        for trial in trials[::3]:
            store.put(trial, [], 0.0, "")
        assert store.done(trial.key for trial in trials) == {trial.key for trial in trials[::3]}
        assert store.done([]) == set()


def test_trials_are_chosen_and_in_the_same_order_whoever_was_first(path, tmp_path):
    trials = [
        dataclasses.replace(TRIAL, protocol=protocol, model=model, masking=masking, segments=segments, picture=picture)
        for protocol in ("colours", "lime") for model in "AB" for segments in ("", "slic")
        for masking in ("black", "layer") for picture in ("a", "b")
    ]
    with Store(path) as store, Store(tmp_path / "other.db") as other:
        for one, last in zip(trials, reversed(trials), strict=True):
            store.put(one, [], 0.0, "")
            other.put(last, [], 0.0, "")
        assert list(store.trials()) == list(other.trials()) == trials
        chosen = {"protocol": "lime", "model": "B", "masking": "layer", "segments": ""}
        for name, value in chosen.items():
            expected = [trial for trial in trials if getattr(trial, name) == value]
            assert list(store.trials(**{name: value})) == expected
            assert [trial for trial, _ in store.rows(**{name: value})] == expected
        assert [trial.picture for trial in store.trials(**chosen)] == ["a", "b"]


def test_nan_is_null(path):
    with Store(path) as store:
        store.put(TRIAL, [{"r2": float("nan")}], 0.0, "")
        assert next(store.rows())[1] == [{"r2": None}]


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), [1], {"a": 1}, b"x"])
def test_what_json_would_garble_is_refused(path, value):
    with Store(path) as store:
        with pytest.raises(InputError, match=r"expected a finite number, .* for 'r2' of lime, got .*: convert it"):
            store.put(TRIAL, [{"r2": value}], 0.0, "")
        assert len(store) == 0


def test_numpy_numbers_are_refused(path):
    import numpy as np

    with Store(path) as store, pytest.raises(InputError, match=r"for 'label' of lime, got .* \(int64\)"):
        store.put(TRIAL, [{"label": np.int64(3)}], 0.0, "")


@pytest.mark.parametrize("name", [":memory:", "file:x?mode=memory", "ü 1.db"])
def test_a_store_is_a_file_whatever_its_name_and_wherever_the_process_goes(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with Store(name) as store:
        monkeypatch.chdir("/")
        store.put(TRIAL, [{"value": 1}], seconds=0.1, worker="here")
        assert [rows for _, rows in store.rows()] == [[{"value": 1}]]
    assert (tmp_path / name).stat().st_size > 0


def test_a_missing_store_is_told(path):
    with pytest.raises(InputError, match=r"expected an existing file for store, got '.*results\.db': check the path"):
        Store(path, create=False)
    assert not path.exists()


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(InputError, match=r"expected an existing folder for store, got '.*nowhere': create it"):
        Store(tmp_path / "nowhere" / "results.db")


def test_a_file_that_is_no_store_is_told_and_left_alone(path):
    path.write_text("image,class_index\n" * 100)
    with pytest.raises(InputError, match=r"expected a file of this program for store, got .*, which is another"):
        Store(path)
    assert path.read_text() == "image,class_index\n" * 100


def test_other_tables_are_told_and_left_alone(path):
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE mine (a)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"got .* with other tables: choose another file"):
        Store(path)
    assert path.read_bytes() == before


def test_another_version_of_the_tables_is_told(path):
    Store(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(InputError, match=r"expected tables of version 1 in store, got version 2 in .*results\.db"):
        Store(path)


def test_a_folder_is_told(tmp_path):
    with pytest.raises(InputError, match="expected a readable and writable file for store"):
        Store(tmp_path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes everywhere")
def test_an_unwritable_folder_is_told(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="expected a readable and writable file for store"):
            Store(tmp_path / "results.db")
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_told_and_what_was_written_stays(path):
    with Store(path) as store:
        store.put(TRIAL, [{"a": 1}], 0.0, "")
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(InputError, match=r"results\.db' \(database or disk is full\)"):
            store.put(dataclasses.replace(TRIAL, seed=1), [{"a": "x" * 100_000}], 0.0, "")
        assert list(store.rows()) == [(TRIAL, [{"a": 1}])]


def test_a_killed_writer_loses_nothing_that_it_has_put(path):
    process = writer(path, 0, 10**9)
    for _ in range(20):
        last = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    last = max([last, *(int(line) for line in process.stdout if line.endswith("\n"))])
    process.wait()
    with Store(path) as store:
        numbers = sorted(rows[0]["number"] for _, rows in store.rows())
        assert store._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        # One more may have been committed whose number was not printed any more.
        assert numbers in ([*range(last + 1)], [*range(last + 2)])
        assert store.put(TRIAL, [{"number": -1}], 0.0, "")


def test_two_processes_make_and_fill_one_store(path):
    processes = [writer(path, 0, 150), writer(path, 100, 150)]  # 50 trials are the same
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    with Store(path) as store:
        assert sorted(rows[0]["number"] for _, rows in store.rows()) == [*range(250)]


def test_threads_share_a_store(path):
    with Store(path) as store:
        def fill(start):
            for seed in range(start, start + 50):
                store.put(dataclasses.replace(TRIAL, seed=seed), [], 0.0, "")
                store.done([TRIAL.key])

        threads = [threading.Thread(target=fill, args=(start,)) for start in (0, 50, 100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store) == 150


def test_one_may_write_while_reading(path):
    with Store(path) as store:
        for seed in range(3):
            store.put(dataclasses.replace(TRIAL, seed=seed), [], 0.0, "")
        seen = []
        for trial, _ in store.rows():
            seen.append(trial.seed)
            store.put(dataclasses.replace(TRIAL, seed=trial.seed + 100), [], 0.0, "")
        assert seen == [0, 1, 2]
        assert len(store) == 6


def test_another_thread_may_create_the_same_store(path):
    stores = []
    threads = [threading.Thread(target=lambda: stores.append(Store(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stores) == 8
    for store in stores:
        store.close()


def test_a_store_that_is_deleted_or_replaced_while_it_is_written_is_told(path):
    with Store(path) as store:
        assert store.put(TRIAL, [{"a": 1}], 0.0, "")
        path.unlink()
        for read in (lambda: store.put(dataclasses.replace(TRIAL, seed=1), [], 0.0, ""), lambda: list(store.rows())):
            with pytest.raises(InputError, match=r"expected the store that was opened, got a file that was deleted at"):
                read()
        assert not path.exists()
        Store(path).close()
        with pytest.raises(InputError, match=r"got another file in its place at .*results.db': stop, and run"):
            store.put(dataclasses.replace(TRIAL, seed=2), [], 0.0, "")


def test_a_damaged_store_is_told_at_opening(path):
    with Store(path) as store:
        for seed in range(300):
            store.put(dataclasses.replace(TRIAL, seed=seed), [{"a": "x" * 50}], 0.0, "")
    size = path.stat().st_size
    assert size > 20 * 4096
    for damage in ("cut", "zeros"):
        copy = path.with_name(f"{damage}.db")
        content = path.read_bytes()
        if damage == "cut":
            copy.write_bytes(content[: size - 4096 * 5])
        else:  # the root of the index, whose number is in the table of tables
            with contextlib.closing(sqlite3.connect(path)) as connection:
                root = connection.execute("SELECT rootpage FROM sqlite_master WHERE type = 'index'").fetchone()[0]
            copy.write_bytes(content[: 4096 * (root - 1)] + bytes(4096) + content[4096 * root :])
        with pytest.raises(InputError, match=r"^expected an? .*store.*(damaged|malformed)"):
            Store(copy)


@contextlib.contextmanager
def without_rights():
    """Root may write everywhere; nobody may not."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def public():
    """A folder that everyone can enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.skipif(os.name == "nt", reason="no rights")
def test_a_store_in_a_folder_that_cannot_be_written_is_read(public):
    path = public / "results.db"
    with Store(path) as store:
        store.put(TRIAL, [{"a": 1}], 0.0, "")
    os.chmod(path, 0o444)
    os.chmod(public, 0o555)
    try:
        with without_rights():
            with Store(path, read_only=True) as store:
                assert list(store.rows()) == [(TRIAL, [{"a": 1}])] and len(store) == 1
            with pytest.raises(InputError, match=r"expected a readable and writable file for store, got .*results"):
                Store(path)
    finally:
        os.chmod(public, 0o755)


@pytest.mark.skipif(os.name == "nt", reason="no rights")
def test_a_store_whose_log_cannot_be_read_is_not_read_without_it(public):
    path = public / "results.db"
    with Store(path) as store:
        store.put(TRIAL, [{"a": 1}], 0.0, "")
        log = path.with_name("results.db-wal")
        content, kept = path.read_bytes(), log.read_bytes()
        assert kept
    path.write_bytes(content)
    log.write_bytes(kept)
    path.with_name("results.db-shm").unlink(missing_ok=True)
    os.chmod(public, 0o555)
    try:
        with without_rights(), pytest.raises(InputError, match="file for store"):
            Store(path, read_only=True)
    finally:
        os.chmod(public, 0o755)
    with Store(path, read_only=True) as store:
        assert len(store) == 1


def test_a_store_is_read_only_for_who_only_reads(path):
    with pytest.raises(InputError, match="expected an existing file for store"):
        Store(path, read_only=True)
    Store(path).close()
    before = path.read_bytes()
    with Store(path, read_only=True) as store, pytest.raises(InputError, match="readonly database"):
        store.put(TRIAL, [], 0.0, "")
    assert path.read_bytes() == before


def test_a_store_that_another_program_holds_is_told(path, monkeypatch):
    monkeypatch.setattr("xai_layermask.experiments.store._TIMEOUT", 0.05)
    with Store(path) as store, contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match=r"that no other program holds, got .* \(database is locked"):
            store.put(TRIAL, [], 0.0, "")


@pytest.mark.parametrize(
    "text", ["no json", "{}", "[1]", "[" * 100_000, '[{"a": [1]}]', '[{"a": Infinity}]', f'[{{"a": {10**400}}}]', b"[]"]
)
def test_rows_of_another_program_are_told(path, text):
    with Store(path) as store:
        store.put(TRIAL, [{"a": 1}], 0.0, "")
        with contextlib.closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE units SET rows = ?", (text,))
        with pytest.raises(InputError, match=r"expected a list of rows in JSON for each trial in store, got something"):
            list(store.rows())


def test_trials_of_another_program_are_told(path):
    with Store(path) as store:
        store.put(TRIAL, [{"a": 1}], 0.0, "")
        with contextlib.closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE units SET picture = ?", (b"x",))
        with pytest.raises(InputError, match="expected texts and a seed for each trial in store"):
            list(store.trials())


@pytest.mark.parametrize("changes", [{"picture": "\ud800.png"}, {"seed": 2**70}])
def test_trials_that_sqlite_cannot_hold_are_refused(path, changes):
    with Store(path) as store:
        with pytest.raises(InputError, match="expected texts in UTF-8 and integers of 64 bits in a trial"):
            store.put(dataclasses.replace(TRIAL, **changes), [], 0.0, "")
        assert len(store) == 0


@pytest.mark.parametrize("name", ["a\0b.db", "n" * 5000])
def test_names_that_no_file_has_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="for store, got"):
        Store(tmp_path / name)
    assert not list(tmp_path.iterdir())
