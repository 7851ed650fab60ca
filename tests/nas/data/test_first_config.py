import numpy as np
import pytest
from PIL import Image

from nas.cli import main
from nas.config import load_config


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.png")
    return tmp_path / "photos"


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, arguments)))
    return stop.value.code


def test_the_config_of_a_directory_can_be_searched_with(photos, tmp_path, capsys):
    target = tmp_path / "mine.yaml"
    assert run("init", photos, "--to", target) == 0
    config = load_config(target)
    assert (config.data.name, config.data.image_size) == ("imagefolder", 32)
    assert config.data.root == str(photos)
    assert config.space.make(2, 3, 32).size > 1
    text = target.read_text()
    # Of each class 2 of 12 images test and 2 of 10 validate.
    assert "24 images of 2 classes, about 15 of them to train on" in text
    assert "The rarest class has 12 images" in text
    assert "50 trials of 60 epochs" in text
    assert "nas space" in capsys.readouterr().err  # where its time is told
    assert run("init", photos, "--to", target) == 2
    assert "--force replaces it" in capsys.readouterr().err
    assert run("init", photos, "--to", "-") == 0
    assert capsys.readouterr().out.startswith("# Written by nas init")


def test_what_is_no_directory_of_images_is_refused(tmp_path, capsys):
    assert run("init", tmp_path / "nowhere") == 2
    assert "looks at a directory" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert run("init", tmp_path / "empty", "--to", tmp_path / "a.yaml") == 2
    assert not (tmp_path / "a.yaml").exists()


def test_the_time_of_the_search_is_told_and_kept(photos, tmp_path, monkeypatch, capsys):
    from types import SimpleNamespace

    from nas.commands import space

    seen = []

    def measured(settings):
        seen.append(settings)
        return SimpleNamespace(lines=lambda: ["time  2 h", "disk  1 GB"])

    monkeypatch.setattr(space, "measured_cost", measured)
    target = tmp_path / "mine.yaml"
    assert run("init", photos, "--to", target, "--time") == 0
    assert seen == [load_config(target)]
    assert "\n# time  2 h\n# disk  1 GB\n" in target.read_text()
    assert "\ntime  2 h\ndisk  1 GB\n" in capsys.readouterr().err
