"""LightGBM's own call for one row, through its C interface: bit-equal to `Booster.predict`, without its Python wrapper.

Source: LightGBM C API, `LGBM_BoosterPredictForMatSingleRowFastInit` and `...SingleRowFast`. The booster, the row and
both result cells must live as long as the handle. One thread; a handle serves one thread at a time.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any

from sofia_streams.errors import BadModel

_FLOAT64, _NORMAL, _ALL_TREES = 1, 0, -1
TREES_BYTES_MAX = 32 * 1024 * 1024
_CURE = "Train again, or activate another."


@cache
def package() -> Any:
    """The package, imported when the first trees are: it takes a second. Raises BadModel where it cannot be loaded."""
    try:
        import lightgbm
    except OSError as error:
        raise BadModel(
            f"trees: expected LightGBM's library to load, found {error}. It needs the system's OpenMP runtime: install "
            "libgomp1 (Debian, Ubuntu), libgomp (Fedora) or libomp (Homebrew)."
        ) from error
    return lightgbm


def _library() -> Any:
    """LightGBM's own: its wrapper has no call for one row."""
    return package().basic._LIB


class Trees:
    """A booster of one output (binary), from its text, which must be as LightGBM wrote it.

    Its parser ends the process on some damaged texts, so the caller compares the hash first.
    """

    def __init__(self, text: str, features: int) -> None:
        """Raises BadModel where the text is no model of so many features with one output."""
        if len(text) > TREES_BYTES_MAX or not text.startswith("tree\n"):
            raise BadModel(
                f"trees: expected a LightGBM text model of at most {TREES_BYTES_MAX} bytes, found {len(text)} that "
                f"start {text[:20]!r}. The file is damaged: activate another model, or train again."
            )
        library = package()
        try:
            self._booster = library.Booster(model_str=text)
        except library.basic.LightGBMError as error:
            raise BadModel(f"trees: expected a LightGBM text model, found one it refuses: {error}. {_CURE}") from error
        found, outputs = self._booster.num_feature(), self._booster.num_model_per_iteration()
        if (found, outputs) != (features, 1):
            raise BadModel(
                f"trees: expected {features} features and one output, found {found} and {outputs}. The model was made "
                "for another feature set: train again."
            )
        self._row = (ctypes.c_double * features)()
        self._length, self._score = ctypes.c_int64(0), ctypes.c_double(0.0)
        self._handle = ctypes.c_void_p()
        library = _library()
        self._check(library.LGBM_BoosterPredictForMatSingleRowFastInit(
            self._booster._handle, _NORMAL, 0, _ALL_TREES, _FLOAT64,
            ctypes.c_int32(features), b"num_threads=1", ctypes.byref(self._handle),
        ))  # fmt: skip
        self._free = library.LGBM_FastConfigFree
        self._predict = library.LGBM_BoosterPredictForMatSingleRowFast
        self._arguments = self._handle, self._row, ctypes.byref(self._length), ctypes.byref(self._score)

    def at(self, row: Sequence[float]) -> float:
        """The probability of a row of as many numbers as the model has features."""
        self._row[:] = [*row]
        self._check(self._predict(*self._arguments))
        return self._score.value

    @staticmethod
    def _check(code: int) -> None:
        if code:
            found = _library().LGBM_GetLastError()
            raise BadModel(f"trees: expected LightGBM to score a row, found {found!r}. {_CURE}")

    def __del__(self) -> None:
        if getattr(self, "_free", None) is not None and self._handle:
            self._free(self._handle)
