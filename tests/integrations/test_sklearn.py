"""The transformer keeps scikit-learn's contract, and its codes tell what the rows are."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from aezip.integrations.sklearn import AutoencoderCodes


@pytest.mark.train
def test_the_contract_of_scikit_learn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of checks that are skipped
        done = check_estimator(AutoencoderCodes(2, hidden=8, steps=12), on_fail="raise")
    assert len(done) > 30


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    data = load_digits()
    return data.data, data.target


@pytest.fixture(scope="module")
def fitted(digits: tuple[np.ndarray, np.ndarray]) -> AutoencoderCodes:
    return AutoencoderCodes(10, error=0.03, steps=500).fit(digits[0][:1200])


@pytest.mark.train
def test_codes_are_whole_and_the_same_whatever_is_beside_them(
    digits: tuple[np.ndarray, np.ndarray], fitted: AutoencoderCodes
) -> None:
    x = digits[0][1200:]
    codes = fitted.transform(x)
    assert codes.shape == (len(x), 10)
    assert (codes == np.rint(codes)).all()
    assert (np.concatenate([fitted.transform(row[None]) for row in x[:20]]) == codes[:20]).all()
    assert list(fitted.get_feature_names_out())[:2] == ["autoencodercodes0", "autoencodercodes1"]


def test_codes_lead_back_to_rows_that_were_not_trained_on(
    digits: tuple[np.ndarray, np.ndarray], fitted: AutoencoderCodes
) -> None:
    x = digits[0][1200:]
    back = fitted.inverse_transform(fitted.transform(x))
    mean = digits[0][:1200].mean(axis=0)
    assert np.square(back - x).mean() < 0.45 * np.square(x - mean).mean()
    with pytest.raises(ValueError, match="makes 10"):
        fitted.inverse_transform(np.zeros((2, 3)))


@pytest.mark.train
def test_codes_tell_digits_apart(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = digits
    model = make_pipeline(AutoencoderCodes(10, error=0.03, steps=300), StandardScaler(), LogisticRegression(max_iter=2000))
    assert model.fit(x[:1200], y[:1200]).score(x[1200:], y[1200:]) > 0.75  # chance: 0.1


@pytest.mark.parametrize("wrong", [{"n_components": 0}, {"n_components": 999}, {"error": 0.0}, {"steps": 0}, {"hidden": 2.5}])
def test_wrong_parameters_are_named(wrong: dict[str, float], digits: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AutoencoderCodes(**wrong).fit(digits[0][:50])


def test_a_missing_scikit_learn_is_said_clearly() -> None:
    program = (
        "import sys\nsys.modules['sklearn'] = None\n"
        "try:\n    import aezip.integrations.sklearn\nexcept ImportError as e:\n    assert 'aezip[sklearn]' in str(e)\n"
        "else:\n    raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
