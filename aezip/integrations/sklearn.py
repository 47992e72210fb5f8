"""A scikit-learn transformer: rows to the codes of an autoencoder, and back.

    from aezip.integrations.sklearn import AutoencoderCodes
    make_pipeline(AutoencoderCodes(16), StandardScaler(), LogisticRegression()).fit(X, y)

It is the autoencoder that `compress(..., codes=16)` trains, kept with its encoder so that new rows can be transformed;
nothing is stored. Needs the extra `sklearn`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aezip.core.surroundings import restored, undisturbed

try:
    with restored():
        from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
        from sklearn.utils import check_random_state
        from sklearn.utils.validation import check_array, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("scikit-learn 1.6 or later is missing: install it with pip install 'aezip[sklearn]'") from error

from aezip.core.fixed import FRACTION_BITS, MOST_CODES
from aezip.core.types import Float64
from aezip.plans.autoencoder.networks import NARROW_BITS, Sizes
from aezip.plans.autoencoder.rows import Rows


class AutoencoderCodes(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Rows to integer codes by a deep autoencoder trained on a rate, not on a squared error.

    Parameters
    ----------
    n_components : int
        Width of the bottleneck, at most 255; cut to the number of features.
    error : float
        What the codes need not tell: the bound, as a share of the range of the values.
    per_feature : bool
        Whether each feature has its own range.
    hidden : int
        Hidden units of the decoder.
    steps : int
        Training steps.
    random_state : int, RandomState or None
        Seed of the training.

    Attributes
    ----------
    n_components_ : int
        Width of the bottleneck.
    rate_, rate_held_out_ : float
        Bits a value that the rows cost, and that the tenth of them that was not trained on costs.
    """

    def __init__(
        self,
        n_components: int = 8,
        *,
        error: float = 1e-2,
        per_feature: bool = False,
        hidden: int = 32,
        steps: int = 2000,
        random_state: Any = 0,
    ) -> None:
        self.n_components = n_components
        self.error = error
        self.per_feature = per_feature
        self.hidden = hidden
        self.steps = steps
        self.random_state = random_state

    @undisturbed
    def fit(self, X: Any, y: Any = None) -> AutoencoderCodes:  # noqa: N803 - scikit-learn's name
        """Train on rows, shape (samples, features); labels are not looked at.

        Raises
        ------
        ValueError
            If rows or parameters cannot be used.
        """
        with restored():
            from aezip.plans.autoencoder.training import fit as training  # torch is needed here alone

        rows = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        self._check_parameters()
        axis = 0 if self.per_feature else None
        spread = rows.max(axis=axis) - rows.min(axis=axis)
        self.offset_ = rows.min(axis=axis)
        self.step_ = np.where(spread > 0, 2.0 * self.error * spread, 1.0)
        self.n_components_ = min(self.n_components, rows.shape[1])
        sizes = Sizes((tuple(range(rows.shape[1])),), self.n_components_, self.hidden, min(self.hidden, 16), False)
        seed = int(check_random_state(self.random_state).randint((1 << 31) - 1))
        fitted = training.fit(Rows(self._steps_of(rows), None, False), sizes, training.Schedule(self.steps, seed, faithful=True))
        assert fitted.encoder is not None
        self.encoder_, self.decoder_, self.norm_ = fitted.encoder, fitted.decoders[0], fitted.norm
        self.rate_, self.rate_held_out_ = fitted.rate, fitted.rate_held_out
        return self

    def _check_parameters(self) -> None:
        for name, low, high in (("n_components", 1, MOST_CODES), ("hidden", 1, 4096), ("steps", 1, 10**9)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
                raise ValueError(f"{name} must be a whole number from {low} to {high}, not {value!r}")
        if not 0.0 < self.error < 1.0:
            raise ValueError(f"error must lie between 0 and 1, not {self.error!r}")

    def _steps_of(self, rows: Float64) -> Float64:
        return np.asarray((rows - self.offset_) / self.step_)

    @undisturbed
    def transform(self, X: Any) -> Float64:  # noqa: N803
        """Return the codes of rows: whole numbers as float64, shape (samples, n_components_)."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        # in float64, so that a row has the same codes whatever rows are beside it
        normal = (self._steps_of(rows) - self.encoder_.centre) / self.encoder_.spread.astype(np.float64)
        return np.asarray(np.rint(self.encoder_.forward(normal)).clip(-(2.0**20), 2.0**20) + 0.0, np.float64)

    @undisturbed
    def inverse_transform(self, X: Any) -> Float64:  # noqa: N803
        """Return the rows that the decoder makes of codes, float64, shape (samples, features)."""
        check_is_fitted(self)
        codes = check_array(X, dtype=np.float64)
        if codes.shape[1] != self.n_components_:
            raise ValueError(f"X has {codes.shape[1]} codes a row, this {type(self).__name__} makes {self.n_components_}")
        wide = self.norm_.codes(np.rint(codes.clip(-(2.0**20), 2.0**20)).astype(np.int64))
        mean, _, _ = self.decoder_.predict(wide >> (self.norm_.top - NARROW_BITS), wide)
        return np.asarray(mean * (self.step_ * 2.0**-FRACTION_BITS) + self.offset_)

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)
