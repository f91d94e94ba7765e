"""Models on disk: one folder each, found by id, checked by hash. LightGBM text and JSON; nothing that could run.

    models/<model_id>/model.json    core.scoring.document.Document
                      trees.txt     LightGBM's text, where the model has trees
                      card.md card.json reliability.png

What it does not do: say which model is in force (records on `models` do), or score.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from sofia_streams.core.features.sets import FeatureSet
from sofia_streams.core.scoring.document import Document
from sofia_streams.core.scoring.scorer import Scorer
from sofia_streams.core.scoring.trees import TREES_BYTES_MAX
from sofia_streams.core.signals.predicting import Model
from sofia_streams.errors import BadModel, NotWritten
from sofia_streams.files import whole
from sofia_streams.training.card import Card
from sofia_streams.training.metrics import MEASURES

DOCUMENT, TREES, CARD, PAGE, DIAGRAM = "model.json", "trees.txt", "card.json", "card.md", "reliability.png"
_DOCUMENT_BYTES_MAX = 16 * 1024 * 1024
_CURE = "Train again, or activate another."
_ID = re.compile(r"[a-z]{1,20}-[0-9]{1,12}-[0-9a-f]{8}", re.ASCII)
_decoder, _card_decoder = msgspec.json.Decoder(Document), msgspec.json.Decoder(Card)


class Stored(NamedTuple):
    """A model as it stands in its folder; `sha256` is of model.json, which names the hash of its trees."""

    document: Document
    trees: str | None
    sha256: str
    folder: Path

    def scorer(self) -> Scorer:
        """Built and checked. Raises BadModel."""
        return Scorer(self.document, self.trees)

    def model(self, sets: Sequence[FeatureSet]) -> Model:
        """What scores features of these sets. Raises BadModel as `scorer`, and for other bars or features."""
        return Model(self.scorer(), sets)


class Registry:
    """The folder of all models."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """Ids of what is there, oldest data first."""
        found = [one.name for one in self._folder.glob("*") if _ID.fullmatch(one.name)] if self._folder.is_dir() else []
        return sorted(found, key=lambda name: (int(name.split("-")[1]), name))

    def save(self, document: Document, trees: str | None, others: Mapping[str, bytes]) -> Stored:
        """Put a model there, whole or not at all; `others` are its card's files by name. One that is there stays.

        Raises BadModel where it does not score as it was trained, NotWritten.
        """
        Scorer(document, trees)
        place = self._place(document.model_id)
        contents = {DOCUMENT: msgspec.json.format(msgspec.json.encode(document), indent=1), **others}
        if trees is not None:
            contents[TREES] = trees.encode()
        if self._is_there(document.model_id, contents[DOCUMENT]):
            return self.load(document.model_id)
        partial = self._folder / f".{document.model_id}.{secrets.token_hex(4)}.partial"
        try:
            partial.mkdir(parents=True)
            for name, data in contents.items():
                with whole(partial / name) as path:
                    path.write_bytes(data)
            try:
                partial.replace(place)
            except OSError:
                if not self._is_there(document.model_id, contents[DOCUMENT]):  # else another training was first
                    shutil.rmtree(place, ignore_errors=True)  # a damaged one
                    partial.replace(place)
        except OSError as error:
            raise error if isinstance(error, NotWritten) else NotWritten(place, error) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return self.load(document.model_id)

    def _is_there(self, model_id: str, document: bytes) -> bool:
        try:
            stored = self.load(model_id, hashlib.sha256(document).hexdigest())
            stored.scorer()
            self.card(model_id)
        except BadModel:
            return False
        return True

    def card(self, model_id: str) -> Card:
        """What is known of a model. Raises BadModel."""
        data = _read(self._place(model_id) / CARD, _DOCUMENT_BYTES_MAX, model_id)
        try:
            card = _card_decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadModel(f"model {model_id}: expected a model card, found {error}. Train again.") from error
        measured = [card.test.get("model", {}), *(fold.measures for fold in card.folds)]
        if not ("fit" in card.slices and all({*MEASURES} <= {*one} for one in measured)):
            raise BadModel(
                f"model {model_id}: expected measures of the model in its card, and of each fold, found some missing. "
                f"{_CURE}"
            )
        return card

    def load(self, model_id: str, sha256: str | None = None) -> Stored:
        """A model of this id, and with this hash where one is given. Raises BadModel."""
        folder = self._place(model_id)
        data = _read(folder / DOCUMENT, _DOCUMENT_BYTES_MAX, model_id)
        found = hashlib.sha256(data).hexdigest()
        if sha256 is not None and found != sha256:
            raise BadModel(
                f"model {model_id}: expected a {DOCUMENT} with the hash {sha256}, found {found}. The file was changed "
                "since the model was activated: restore it, or activate another."
            )
        try:
            document = _decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadModel(
                f"model {model_id}: expected a model document, found {error}. The file is damaged: activate another."
            ) from error
        if document.model_id != model_id:
            raise BadModel(
                f"model {model_id}: expected its own document, found that of {document.model_id[:60]!r}. {_CURE}"
            )
        trees = None
        if document.trees_sha256 is not None:
            trees = _read(folder / TREES, TREES_BYTES_MAX, model_id).decode("utf-8", "replace")
        return Stored(document, trees, found, folder)

    def _place(self, model_id: str) -> Path:
        if _ID.fullmatch(model_id) is None:
            raise BadModel(
                f"models: expected an id such as forward-1772323200-0a1b2c3d, found {model_id[:60]!r}. "
                "`sofia models list` shows those there are."
            )
        return self._folder / model_id


def _read(path: Path, bytes_max: int, model_id: str) -> bytes:
    try:
        if (size := path.stat().st_size) > bytes_max:
            raise BadModel(
                f"model {model_id}: expected a {path.name} of at most {bytes_max} bytes, found {size}. {_CURE}"
            )
        return path.read_bytes()
    except OSError as error:
        raise BadModel(
            f"model {model_id}: expected {path.name} in {path.parent.name}/, found {error.strerror}. "
            "`sofia models list` shows those there are."
        ) from error
