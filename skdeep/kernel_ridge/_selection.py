"""Scores of a grid of penalties on samples that were held out, in closed form."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import check_cv

from skdeep._sklearn import check_method_params
from skdeep.solvers.holdout import generalised_cross_validation, leave_one_out, leave_out


class HeldOut(RegressorMixin, BaseEstimator):
    """A regressor for scorers, whose predictions are the samples that it is given."""

    def predict(self, X):
        """X itself."""
        return X


@dataclass(frozen=True)
class Search:
    """What samples are held out, and how their predictions are judged.

    Attributes
    ----------
    samples : Samples
    folds : list of arrays of int, None or "gcv"
        Samples that are held out together; None stands for each alone, and "gcv" for an approximation of that.
    scorer : callable or None
        None stands for the negative mean squared error, the mean weighted under weights.
    params : dict
        Of the scorer; arrays are of the length of all samples.
    per_target : bool
        Whether there is a score for each target.
    """

    samples: object
    folds: list | str | None
    scorer: object
    params: dict
    per_target: bool

    def scores(self, spectrum, reduction, Y, alphas):
        """The scores of every penalty, and the errors of the predictions that were judged.

        Parameters
        ----------
        spectrum : Spectrum
        reduction : Reduction
        Y : array of shape (n_samples, n_targets)
        alphas : array of shape (n_alphas,)
            Above 0.

        Returns
        -------
        scores : array of shape (n_alphas, n_folds), or (n_alphas, n_folds, n_targets) for each target
        errors : list over alphas of lists over folds of (indices, errors)
        """
        if isinstance(self.folds, str):
            scores = negative_gcv(spectrum, reduction, Y, alphas, self.samples.weights)
            return (scores if self.per_target else scores.mean(axis=1))[:, None], []
        folds = [np.arange(len(Y))] if self.folds is None else self.folds
        errors = held_out_errors(spectrum, reduction, Y, alphas, self.folds)
        scores = [[self._score(*pair) for pair in zip(folds, each, strict=True)] for each in errors]
        return np.array(scores, dtype=np.float64), [list(zip(folds, each, strict=True)) for each in errors]

    def _score(self, indices, errors):
        samples, y = self.samples, self.samples.y[indices]
        if self.scorer is None:
            weights = None if samples.weights is None else samples.weights[indices]
            means = -np.average(errors.astype(np.float64) ** 2, axis=0, weights=weights)
            return means if self.per_target else means.mean()
        predicted = y.astype(errors.dtype) - errors.reshape(y.shape)
        params = check_method_params(samples.X_all, self.params, indices=samples.places[indices])
        if not self.per_target:
            return self.scorer(HeldOut(), predicted, y, **params)
        columns = zip(predicted.reshape(len(y), -1).T, y.reshape(len(y), -1).T, strict=True)
        return np.array([self.scorer(HeldOut(), ours, theirs, **params) for ours, theirs in columns])


def folds_of(cv, samples, y_all, params):
    """The test part of each fold among the samples, all others being its training part.

    Raises
    ------
    ValueError
        If a training part is anything else, or empty.
    """
    n_all, n = samples.X_all.shape[0], samples.X.shape[0]
    place_among_kept = np.full(n_all, -1)
    place_among_kept[samples.places] = np.arange(n)
    folds = []
    for train, test in check_cv(cv).split(samples.X_all, y_all, **params):
        train, test = (np.arange(n_all)[part] for part in (train, test))
        if len(np.union1d(train, test)) != n_all or len(train) + len(test) != n_all:
            raise ValueError(
                "Hold-out in closed form needs folds whose training part is all that is not in the test part, as those "
                f"of KFold and GroupKFold; {cv!r} has others: use GridSearchCV with KernelRidgeDual."
            )
        fold = place_among_kept[test]
        fold = fold[fold >= 0]
        if len(fold) == n:
            raise ValueError(f"A fold of {cv!r} leaves no sample of positive weight to train on.")
        if len(fold):
            folds.append(fold)
    return folds


def held_out_errors(spectrum, reduction, Y, alphas, folds=None):
    """y minus held-out predictions.

    Parameters
    ----------
    spectrum : Spectrum
    reduction : Reduction
    Y : array of shape (n_samples, n_targets)
    alphas : array of shape (n_alphas,)
        Above 0.
    folds : list of arrays of int, or None
        Samples that are held out together; None stands for each alone.

    Returns
    -------
    list over alphas of lists over folds of arrays of shape (n_held_out, n_targets)
        Leave-one-out is one fold of all.
    """
    coefficients = _coefficients(spectrum, reduction, Y, alphas)
    if folds is None:
        diagonals = spectrum.inverse_diagonal(alphas).T
        pairs = zip(coefficients, diagonals, strict=True)
        return [[reduction.residuals(leave_one_out(C, diagonal))] for C, diagonal in pairs]
    return [
        [reduction.residuals(leave_out(C, spectrum.inverse_block(alpha, fold), fold), fold) for fold in folds]
        for alpha, C in zip(alphas, coefficients, strict=True)
    ]


def negative_gcv(spectrum, reduction, Y, alphas, weights):
    """The negative generalised cross-validation of every penalty and target, array of shape (n_alphas, n_targets)."""
    traces = spectrum.inverse_diagonal(alphas).sum(axis=0, dtype=np.float64)
    pairs = zip(_coefficients(spectrum, reduction, Y, alphas), traces, strict=True)
    return -np.array([generalised_cross_validation(C, trace, weights) for C, trace in pairs])


def _coefficients(spectrum, reduction, Y, alphas):
    """Those of each alpha in weighted coordinates, array of shape (n_alphas, n_samples, n_targets), by one product."""
    weighted = reduction.weighted(Y)
    C = spectrum.solve(np.tile(weighted, len(alphas)), np.repeat(alphas, Y.shape[1]), least_norm=False)
    return C.reshape(len(Y), len(alphas), Y.shape[1]).transpose(1, 0, 2)


def predictions(samples, errors):
    """Held-out predictions of all samples for every penalty, NaN where there are none.

    Parameters
    ----------
    samples : Samples
    errors : list
        As `Search.scores` returns them.
    """
    held_out = np.full((len(errors), samples.X_all.shape[0], *samples.y.shape[1:]), np.nan, samples.X.dtype)
    for row, folds in zip(held_out, errors, strict=True):
        for indices, of_fold in folds:
            y = samples.y[indices]
            row[samples.places[indices]] = y - of_fold.reshape(y.shape)
    return held_out


def cv_results(alphas, scores):
    """A dict as that of scikit-learn's `GridSearchCV`, without its times.

    Parameters
    ----------
    alphas : array of shape (n_alphas,)
    scores : array of shape (n_alphas, n_folds) or (n_alphas, n_folds, n_targets)
    """
    means = scores.mean(axis=1)
    return {
        "param_alpha": np.ma.array(alphas),
        "params": [{"alpha": float(alpha)} for alpha in alphas],
        **{f"split{fold}_test_score": scores[:, fold] for fold in range(scores.shape[1])},
        "mean_test_score": means,
        "std_test_score": scores.std(axis=1),
        "rank_test_score": rankdata(-np.nan_to_num(means, nan=-np.inf), method="min", axis=0).astype(np.int32),
    }
