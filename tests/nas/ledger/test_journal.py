import json
import multiprocessing

import optuna
import pytest

from nas.ledger.journal import _DISK, Journal
from nas.ledger.record_line import sealed
from search_spaces.errors import InputError


def storage(path):
    return optuna.storages.JournalStorage(Journal(path))


def test_optuna_reads_what_it_wrote_and_its_own_backend_agrees(tmp_path):
    path = tmp_path / "study.log"
    study = optuna.create_study(storage=storage(path), study_name="s")
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=5)
    own = optuna.storages.journal.JournalFileBackend(str(path))
    other = optuna.load_study(
        study_name="s", storage=optuna.storages.JournalStorage(own)
    )
    assert [t.value for t in other.trials] == [t.value for t in study.trials]


def test_a_batch_is_one_write(tmp_path):
    path = tmp_path / "study.log"
    journal = Journal(path)
    with journal.batch():
        journal.append_logs([{"op_code": 1}])
        with journal.batch():  # joins the outer one
            journal.append_logs([{"op_code": 2}])
        assert path.read_bytes() == b""
    assert [json.loads(line)["op_code"] for line in path.read_text().splitlines()] == [
        1,
        2,
    ]


def test_a_batch_that_is_left_by_an_error_is_written(tmp_path):
    journal = Journal(tmp_path / "study.log")
    with pytest.raises(ZeroDivisionError), journal.batch():
        journal.append_logs([{"op_code": 1}])
        raise ZeroDivisionError
    assert list(journal.read_logs(0)) == [{"op_code": 1}]


def test_an_unfinished_line_is_not_read_and_gives_way_to_the_next_write(tmp_path):
    path = tmp_path / "study.log"
    path.write_bytes(b'{"op_code":1}\n{"op_code":2')
    journal = Journal(path)
    assert list(journal.read_logs(0)) == [{"op_code": 1}]
    journal.append_logs([{"op_code": 3}])
    assert list(journal.read_logs(0)) == [{"op_code": 1}, {"op_code": 3}]


def test_an_unfinished_line_longer_than_a_block_is_removed_whole(tmp_path):
    path = tmp_path / "study.log"
    path.write_bytes(b'{"op_code":1}\n' + b"x" * 200_000)
    Journal(path).append_logs([{"op_code": 2}])
    assert path.read_bytes() == b'{"op_code":1}\n' + sealed({"op_code": 2})


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "study.log"
    path.write_bytes(b'{"op_code":1}\nnonsense\n{"op_code":3}\n')
    with pytest.raises(InputError, match=r"as it was written, but line 2"):
        list(Journal(path).read_logs(0))


def test_reading_goes_on_from_any_number(tmp_path):
    journal = Journal(tmp_path / "study.log")
    journal.append_logs([{"op_code": i} for i in range(5)])
    assert [log["op_code"] for log in journal.read_logs(3)] == [3, 4]
    assert [log["op_code"] for log in journal.read_logs(0)] == [0, 1, 2, 3, 4]
    assert list(journal.read_logs(5)) == []


@pytest.mark.parametrize("at_once", [1, 60, 2**20])
def test_lines_of_all_kinds_are_read_from_any_number_in_blocks(
    tmp_path, monkeypatch, at_once
):
    """Sealed, without checksum, with one flipped bit, unfinished."""
    monkeypatch.setattr("nas.ledger.journal._READ_AT_ONCE", at_once)
    path = tmp_path / "study.log"
    lines = []
    for number in range(12):
        line = sealed({"op_code": number, "name": "é"})
        if number % 5 == 1:
            line = b'{"op_code":%d,"name":"\xc3\xa9"}\n' % number
        elif number % 5 == 3:
            line = line.replace(b"name", b"ncme")
        lines.append(line)
    journal = Journal(path)
    wanted = [{"op_code": number, "name": "é"} for number in range(12)]
    for end in range(13):  # as it grows under a reader
        whole = b"".join(lines[:end])
        path.write_bytes(whole + b"".join(lines)[len(whole) :][:9])
        for start in range(end + 1):
            assert list(journal.read_logs(start)) == wanted[start:end]


def test_a_failed_write_leaves_no_trace(tmp_path, monkeypatch):
    path = tmp_path / "study.log"
    journal = Journal(path)
    journal.append_logs([{"op_code": 1}])

    whole = type(path).open

    def full(self, mode):
        file = whole(self, mode, buffering=0)
        write = file.write

        class Disk:
            def write(self, block):
                write(block[:3])
                raise OSError(28, "No space left on device")

            def __getattr__(self, name):
                return getattr(file, name)

            def __enter__(self):
                return self

            def __exit__(self, *error):
                file.close()

        return Disk()

    monkeypatch.setattr(type(path), "open", full)
    with pytest.raises(OSError, match="No space left"):
        journal.append_logs([{"op_code": 2}])
    monkeypatch.undo()
    assert path.read_bytes() == sealed({"op_code": 1})
    journal.append_logs([{"op_code": 3}])
    assert [log["op_code"] for log in journal.read_logs(0)] == [1, 3]


def test_results_are_put_on_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(
        "nas.ledger.journal.os.fsync", lambda number: synced.append(number)
    )
    journal = Journal(tmp_path / "study.log")
    journal.append_logs([{"op_code": 1}])
    with journal.batch(durable=True):
        journal.append_logs([{"op_code": 2}])
    _DISK.submit(int).result()  # whatever was queued before is done
    assert len(synced) == 1


def _write(path, name):
    journal = Journal(path)
    for i in range(20):
        journal.append_logs(
            [
                {"op_code": 9, "who": name, "i": i},
                {"op_code": 9, "who": name, "i": i + 100},
            ]
        )


def test_two_processes_do_not_mix_their_lines(tmp_path):
    path = tmp_path / "study.log"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(path, n)) for n in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    logs = list(Journal(path).read_logs(0))
    assert len(logs) == 80
    for first, second in zip(logs[::2], logs[1::2], strict=True):
        assert (first["who"], first["i"] + 100) == (second["who"], second["i"])
