from threading import Thread

from nas.study.preparing import preparing_lines, preparing_tasks


def test_each_task_has_a_line_and_the_last_one_counts(tmp_path):
    directory = tmp_path / "preparing"
    assert preparing_lines(directory) == ()
    tasks = preparing_tasks(directory, 12)
    assert not directory.exists()  # nothing is written before somebody speaks
    tasks[10].tell("supernet 10: epoch 1 of 3")
    tasks[2].tell("supernet 2: epoch 1 of 3")
    tasks[2].tell("supernet 2: epoch 2 of 3")
    assert preparing_lines(directory) == (
        "supernet 2: epoch 2 of 3",
        "supernet 10: epoch 1 of 3",
    )
    tasks[2].close()
    tasks[2].close()
    assert preparing_lines(directory) == ("supernet 10: epoch 1 of 3",)
    tasks[10].close()
    assert not directory.exists()


def test_a_directory_that_cannot_be_written_stops_nobody(tmp_path):
    (tmp_path / "preparing").write_text("a file")
    (task,) = preparing_tasks(tmp_path / "preparing", 1)
    task.tell("epoch 1 of 3")
    assert task.read() == ""
    task.close()


def test_a_reader_sees_whole_lines_alone(tmp_path):
    (task,) = preparing_tasks(tmp_path, 1)
    wanted = {"", *(f"epoch {n} of 200" * 50 for n in range(200))}
    seen = set()

    def write():
        for n in range(200):
            task.tell(f"epoch {n} of 200" * 50)

    writer = Thread(target=write)
    writer.start()
    while writer.is_alive():
        seen.add(task.read())
    writer.join()
    assert seen <= wanted
