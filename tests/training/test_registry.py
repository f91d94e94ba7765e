"""Models on disk: whole or not at all, found by id, refused with a reason where anything is wrong with them."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import msgspec
import pytest
from trained_models import ORDER, bars

from sofia_streams.errors import BadModel, NotWritten
from sofia_streams.training.fitting.run import run
from sofia_streams.training.registry import CARD, DOCUMENT, TREES, Registry

pytestmark = pytest.mark.slow
FOLD = {"test": {"from_ns": 0, "until_ns": 1, "rows": 1, "base_rate": 0.5}, "measures": {}, "gains": {}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(folder of the registry, what was saved)."""
    folder = tmp_path_factory.mktemp("registry") / "models"
    return folder, run(bars(), ORDER, Registry(folder), lambda *_: None)[0]


@pytest.fixture
def there(made, tmp_path):
    """A copy of it to do harm to: (registry, folder of the model, id)."""
    folder, stored = made
    name = stored.document.model_id
    place = tmp_path / "models" / name
    place.mkdir(parents=True)
    for path in (folder / name).iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    return Registry(tmp_path / "models"), place, name


def refused(registry, name, *words):
    with pytest.raises(BadModel) as found:
        registry.load(name).scorer()
    for word in words:
        assert word in str(found.value)


def test_what_was_saved_is_loaded(made, there):
    registry, place, name = there
    stored = registry.load(name, made[1].sha256)
    assert (stored.document, stored.trees, stored.sha256) == made[1][:3]
    assert {path.name for path in place.iterdir()} == {DOCUMENT, TREES, CARD, "card.md", "reliability.png"}
    assert (place / "reliability.png").read_bytes().startswith(b"\x89PNG")
    assert registry.card(name).model_id == name
    assert registry.names() == [name]


def test_nothing_but_text_and_a_picture_is_kept(there):
    """No file could run: JSON, LightGBM's text, Markdown, PNG."""
    _, place, _ = there
    json.loads((place / DOCUMENT).read_bytes())
    json.loads((place / CARD).read_bytes())
    assert (place / TREES).read_text().startswith("tree\n")


@pytest.mark.parametrize(
    "name", ["../secrets", "/etc/passwd", "forward-1-0a1b2c3d/..", "", "a b", "forward-1-XX", "x" * 999]
)
def test_an_id_is_never_a_path(name, tmp_path):
    refused(Registry(tmp_path), name, "expected an id")


def test_an_unknown_id_is_refused(tmp_path):
    refused(Registry(tmp_path), "forward-1772323200-0a1b2c3d", "expected model.json", "sofia models list")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("file", [DOCUMENT, TREES])
def test_a_truncated_file_is_refused(there, file, share):
    registry, place, name = there
    data = (place / file).read_bytes()
    (place / file).write_bytes(data[: int(len(data) * share)])
    refused(registry, name, name)


@pytest.mark.parametrize("data", [b"\xff\xfe" * 99, b"[" * 100_000, b"null", b'{"format": "1"}'])
def test_a_document_of_something_else_is_refused(there, data):
    registry, place, name = there
    (place / DOCUMENT).write_bytes(data)
    refused(registry, name, "expected a model document")


@pytest.mark.parametrize("changes", [{"test": {}}, {"test": {"model": {}}}, {"slices": {}}, {"folds": [FOLD]}])
def test_a_card_without_measures_is_refused(there, changes):
    registry, place, name = there
    (place / CARD).write_text(json.dumps(json.loads((place / CARD).read_text()) | changes))
    with pytest.raises(BadModel, match="expected measures of the model"):
        registry.card(name)


def test_a_changed_number_is_found(there):
    """One digit of a threshold in the trees, one weight in the document."""
    registry, place, name = there
    text = (place / TREES).read_text()
    at = text.index("leaf_value=") + len("leaf_value=") + 5
    (place / TREES).write_text(text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1 :])
    refused(registry, name, "trees with the hash")


def test_a_changed_calibration_is_found(there):
    registry, place, name = there
    document = json.loads((place / DOCUMENT).read_text())
    document["calibration"]["values"][0] /= 2
    (place / DOCUMENT).write_text(json.dumps(document))
    refused(registry, name, "on stored row")


def test_another_hash_than_the_activated_one_is_refused(there):
    registry, _, name = there
    with pytest.raises(BadModel, match="changed since the model was activated"):
        registry.load(name, "0" * 64)


def test_a_field_of_another_version_is_refused(there):
    registry, place, name = there
    document = json.loads((place / DOCUMENT).read_text()) | {"hook": "os.system"}
    (place / DOCUMENT).write_text(json.dumps(document))
    refused(registry, name, "unknown field")


def test_the_document_of_another_model_is_refused(there):
    registry, place, name = there
    document = json.loads((place / DOCUMENT).read_text()) | {"model_id": "forward-1-00000000"}
    (place / DOCUMENT).write_text(json.dumps(document))
    refused(registry, name, "its own document")


@pytest.mark.parametrize(("file", "size"), [(DOCUMENT, 17 * 2**20), (TREES, 33 * 2**20)])
def test_a_file_that_is_too_large_is_not_read(there, file, size):
    registry, place, name = there
    os.truncate(place / file, size)
    refused(registry, name, "at most")


def test_a_folder_in_place_of_a_file_is_refused(there):
    registry, place, name = there
    (place / TREES).unlink()
    (place / TREES).mkdir()
    refused(registry, name, TREES)


def test_a_damaged_model_that_is_trained_again_is_whole_again(made, there):
    registry, place, name = there
    (place / TREES).write_text("tree\n")
    others = {path.name: path.read_bytes() for path in made[1].folder.iterdir() if path.name not in (DOCUMENT, TREES)}
    registry.save(made[1].document, made[1].trees, others).scorer()
    assert registry.card(name).model_id == name


def test_a_model_that_scores_otherwise_is_not_saved(made, tmp_path):
    document = made[1].document
    other = msgspec.structs.replace(document, members={"lightgbm": 0.9, "logistic": 0.1})
    with pytest.raises(BadModel):
        Registry(tmp_path / "models").save(other, made[1].trees, {})
    assert not (tmp_path / "models").exists()


def test_where_the_folder_cannot_be_written_nothing_is_left(made, tmp_path):
    (tmp_path / "models").write_text("a file stands there")
    with pytest.raises(NotWritten):
        Registry(tmp_path / "models").save(made[1].document, made[1].trees, {})
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_two_that_save_the_same_model_at_once_both_have_it(made, tmp_path):
    """Whoever comes second finds the folder taken by an equal one."""
    others = {path.name: path.read_bytes() for path in made[1].folder.iterdir() if path.name not in (DOCUMENT, TREES)}
    registry, start = Registry(tmp_path / "models"), Barrier(2)

    def save(_):
        start.wait()
        return registry.save(made[1].document, made[1].trees, others).sha256

    with ThreadPoolExecutor(2) as pool:
        assert {*pool.map(save, range(2))} == {made[1].sha256}
    assert [path.name for path in (tmp_path / "models").iterdir()] == [made[1].document.model_id]
