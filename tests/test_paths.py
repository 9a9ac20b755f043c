from pathlib import Path

import pytest

from mkb21.run.paths import Project


@pytest.fixture
def root(tmp_path):
    (tmp_path / "data/waves").mkdir(parents=True)
    (tmp_path / "data/instrument.yaml").touch()
    return tmp_path.resolve()


def test_every_place_is_where_the_design_says(root):
    project = Project(root)
    places = {
        "data/instrument.yaml": project.instrument,
        "data/waves/2012.yaml": project.wave_file("2012"),
        "data/published/2012.csv": project.published("2012"),
        "data/assumptions/2012.yaml": project.assumptions("2012"),
        "data/raw/2012": project.raw("2012"),
        "data/processed/2012": project.processed("2012"),
        "figures/2012": project.figures("2012"),
        "runs/2012": project.runs("2012"),
        "runs/2012/east": project.variant("2012", "east"),
        "reports/2012": project.reports("2012"),
        "notebooks": project.notebooks,
    }
    assert {name: path.relative_to(root).as_posix() for name, path in places.items()} == {
        name: name for name in places
    }


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "a\\b", "-x", ".x", "a b", "c:", "base", "failed"]
)
def test_a_variant_has_a_name_that_a_folder_may_have(root, name):
    with pytest.raises(ValueError, match="a variant cannot be called"):
        Project(root).variant("2012", name)


def test_naming_a_place_makes_nothing(root):
    before = sorted(root.rglob("*"))
    project = Project(root)
    for place in (project.raw, project.processed, project.figures, project.runs):
        place("2012")
    assert sorted(root.rglob("*")) == before


def test_waves_are_the_described_ones_in_order(root):
    for name in ("2021.yaml", "2012.yaml", "2014b.yaml", "notes.txt"):
        (root / "data/waves" / name).touch()
    assert Project(root).waves() == ["2012", "2014b", "2021"]


def test_no_wave_is_an_empty_list(root):
    assert Project(root).waves() == []


@pytest.mark.parametrize("below", [".", "notebooks", "data/waves/deep"])
def test_found_from_the_folder_itself_and_from_below(root, monkeypatch, below):
    (root / below).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(root / below)
    assert Project.find() == Project(root)


def test_the_nearest_project_wins(root, monkeypatch):
    inner = root / "inner"
    (inner / "data").mkdir(parents=True)
    (inner / "data/instrument.yaml").touch()
    monkeypatch.chdir(inner)
    assert Project.find().root == inner


def test_a_given_root_is_taken_from_anywhere(root, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert Project.find(str(root)) == Project.find(root) == Project(root)
    monkeypatch.chdir(root.parent)
    assert Project.find(root.name).root == root


def test_a_given_root_is_not_searched_upwards(root):
    with pytest.raises(ValueError, match=r"data is not an MKB21 project.*data/instrument\.yaml"):
        Project.find(root / "data")


def test_outside_a_project_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="go to the project folder or give it as root"):
        Project.find()


def test_this_repository_is_a_project():
    project = Project.find(Path(__file__).parents[1])
    assert "2012" in project.waves()
