"""Kernel ridge regression that chooses its penalty, and the kernel's hyperparameters, by held-out predictions."""

from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn import get_config
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from skdeep._sklearn import Interval, StrOptions, fitting
from skdeep.kernel_ridge._base import KernelRidgeBase, warn_of
from skdeep.kernel_ridge._hyperparameters import fitted_hyperparameters, fmin_l_bfgs_b
from skdeep.kernel_ridge._problem import best_spectrum, from_spectrum
from skdeep.kernel_ridge._selection import Search, cv_results, folds_of, predictions
from skdeep.solvers.criteria import CRITERIA


class KernelRidgeDualCV(MultiOutputMixin, RegressorMixin, KernelRidgeBase):
    """Kernel ridge regression whose penalty is the best on held-out samples, in closed form.

    One decomposition serves all penalties and all folds: the errors of exact leave-one-out are c_i / (G^-1)_ii with
    G = K + alpha I, those of samples F that are held out together (G^-1_FF)^-1 c_F, and no model is
    fitted twice. They equal those of as many refits.

    Parameters
    ----------
    alphas : float or array-like of shape (n_alphas,), default=(0.1, 1.0, 10.0)
        Penalties to choose from, above 0.
    kernel : str, Kernel or callable, default="linear"
        As in `KernelRidgeDual`, and so for the next five.
    gamma : float or None, default=None
    degree : int, default=3
    coef0 : float, default=1
    kernel_params : dict or None, default=None
    fit_intercept : bool, default=False
    scoring : str, callable or None, default=None
        A scorer of held-out predictions; None stands for the negative mean squared error, the mean weighted under
        weights.
    cv : None, "gcv", int, splitter or iterable, default=None
        - None: exact leave-one-out, its predictions judged all together;
        - "gcv": generalised cross-validation (Golub, Heath & Wahba, 1979), an approximation of it;
        - an int, a splitter or pairs of index arrays: the mean over the folds, whose training part must be all
          that is not in the test part.
    alpha_per_target : bool, default=False
        Whether each target has the penalty that is best for it.
    store_cv_results : bool, default=False
        Whether to keep the held-out predictions.
    optimizer : {"fmin_l_bfgs_b"}, callable or None, default=None
        With "fmin_l_bfgs_b" the kernel's hyperparameters and the penalty are fitted together, by the gradient of
        `criterion`: the first search starts from the kernel as it is given and the best of `alphas` with
        it. Hyperparameters that are 0 stay so. As for scikit-learn's `GaussianProcessRegressor`, a callable
        `optimizer(obj_func, initial_theta, bounds)` returns the best point and its value: theta holds the logarithms
        of the hyperparameters and then of the penalty, bounds their limits, of shape (n, 2), and `obj_func(theta)`
        the criterion and its gradient, or with `eval_gradient=False` the criterion alone.
    criterion : {"leave_one_out", "log_marginal_likelihood"}, default="leave_one_out"
        What the optimizer minimises: the mean squared leave-one-out error, or minus the log marginal likelihood of
        the Gaussian process with noise of variance alpha / weight.
    bounds : pair of float, default=(1e-5, 1e5)
        The range of all hyperparameters and of the penalty for the optimizer.
    n_restarts_optimizer : int, default=0
        Further searches of the optimizer, from points drawn log-uniformly within the bounds.
    memory_limit : int or None, default=None
        As in `KernelRidgeDual`.
    random_state : int, RandomState instance or None, default=None
        For the restarts.

    Attributes
    ----------
    alpha_ : float or ndarray of shape (n_targets,)
        The best penalty, or that of each target; with an optimizer, the one that it found.
    best_score_ : float or ndarray of shape (n_targets,)
        Its score.
    cv_results_ : dict
        "params", "param_alpha", "split0_test_score" and so on, "mean_test_score", "std_test_score" and
        "rank_test_score", as in scikit-learn's `GridSearchCV`; scores have a second dimension under
        `alpha_per_target`. Leave-one-out and "gcv" are one split.
    cv_predictions_ : ndarray of shape (n_alphas, n_samples) or (n_alphas, n_samples, n_targets)
        Held-out predictions, if `store_cv_results`; NaN for samples in no fold or of weight 0, and from the last
        fold for samples in several.
    dual_coef_, intercept_, X_fit_, kernel_, solver_
        As in `KernelRidgeDual`, of the fit to all samples with the best penalty.
    n_features_in_ : int
        Features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, only where all were strings.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skdeep import KernelRidgeDualCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = KernelRidgeDualCV([0.01, 0.1, 1.0], kernel="rbf", gamma=3.0, fit_intercept=True).fit(X, y)
    >>> model.alpha_
    0.1
    """

    _parameter_constraints = {
        **KernelRidgeBase._parameter_constraints,
        "alphas": ["array-like", Interval(Real, 0, None, closed="neither")],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "cv": [StrOptions({"gcv"}), "cv_object"],
        "alpha_per_target": ["boolean"],
        "store_cv_results": ["boolean"],
        "optimizer": [StrOptions({"fmin_l_bfgs_b"}), callable, None],
        "criterion": [StrOptions(set(CRITERIA))],
        "bounds": ["array-like"],
        "n_restarts_optimizer": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        alphas=(0.1, 1.0, 10.0),
        *,
        kernel="linear",
        gamma=None,
        degree=3,
        coef0=1,
        kernel_params=None,
        fit_intercept=False,
        scoring=None,
        cv=None,
        alpha_per_target=False,
        store_cv_results=False,
        optimizer=None,
        criterion="leave_one_out",
        bounds=(1e-5, 1e5),
        n_restarts_optimizer=0,
        memory_limit=None,
        random_state=None,
    ):
        self.alphas = alphas
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.kernel_params = kernel_params
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.cv = cv
        self.alpha_per_target = alpha_per_target
        self.store_cv_results = store_cv_results
        self.optimizer = optimizer
        self.criterion = criterion
        self.bounds = bounds
        self.n_restarts_optimizer = n_restarts_optimizer
        self.memory_limit = memory_limit
        self.random_state = random_state

    @fitting
    def fit(self, X, y, sample_weight=None, **params):
        """Choose the penalty and fit to all samples.

        Parameters
        ----------
        X : array-like or sparse array of shape (n_samples, n_features)
            Converted to float64 unless it is float32, in which case all is float32. With
            kernel="precomputed", the symmetric Gram matrix of shape (n_samples, n_samples).
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : float or array-like of shape (n_samples,), default=None
            Weights of the errors in the fit and in the score; a sample of weight 0 is as good as left out.
        **params : dict
            `groups` for the splitter and, with scikit-learn's metadata routing enabled, what the scorer and the
            splitter request.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the input or a parameter does not fit.
        MemoryError
            If there is no memory for the Gram matrix; nothing has been allocated then.
        """
        samples = self._validated(X, y, sample_weight, multi_output=True, y_numeric=True)
        alphas, search = _penalties(self.alphas), self._search(samples, y, params)
        problem = self._problem(samples, samples.y, alphas)
        if self.optimizer is not None:
            problem, alphas = self._optimised(problem, alphas, search)
        name, spectrum, reduction = best_spectrum(problem)
        scores, errors = search.scores(spectrum, reduction, problem.Y, alphas)
        results = cv_results(alphas, scores)
        best = np.argmin(results["rank_test_score"], axis=0)
        solution = from_spectrum(name, spectrum, reduction, replace(problem, alpha=alphas[best]))
        warn_of(solution, stacklevel=4)
        self._store(samples, problem, solution, samples.y.shape[1:])
        best_scores = np.take_along_axis(results["mean_test_score"], np.expand_dims(best, 0), axis=0)[0]
        self.alpha_, self.best_score_ = _plain(alphas[best]), _plain(best_scores)
        self.cv_results_ = results
        if self.store_cv_results:
            self.cv_predictions_ = predictions(samples, errors)
        return self

    def _search(self, samples, y, params):
        """The parameters about held-out samples, checked against each other and the data."""
        if self.cv == "gcv" and (self.scoring is not None or self.store_cv_results):
            raise ValueError("cv='gcv' predicts nothing: it goes with scoring=None and store_cv_results=False.")
        scorer = None if self.scoring is None else check_scoring(self, self.scoring)
        scorer_params, splitter_params = self._routed(samples, scorer, params)
        folds = self.cv
        if not self._alone:
            folds = folds_of(self.cv, samples, y, splitter_params)
        elif samples.X.shape[0] < 2:
            raise ValueError("Leave-one-out needs at least 2 samples of positive weight, got n_samples=1.")
        per_target = self.alpha_per_target and samples.y.ndim > 1
        return Search(samples, folds, scorer, scorer_params, per_target)

    def _optimised(self, problem, alphas, search):
        """The problem with the kernel of fitted hyperparameters, and the one penalty that goes with it."""
        low, high = _valid_bounds(self.bounds)
        if search.per_target:
            raise ValueError("The optimizer fits one penalty for all targets: alpha_per_target must be False.")
        _, spectrum, reduction = best_spectrum(problem)
        scores, _ = search.scores(spectrum, reduction, problem.Y, alphas)
        start = alphas[np.argmin(cv_results(alphas, scores)["rank_test_score"])]
        optimizer = self.optimizer if callable(self.optimizer) else fmin_l_bfgs_b
        kernel, alpha = fitted_hyperparameters(
            problem, optimizer, start, self.criterion, (low, high), self.n_restarts_optimizer, self.random_state
        )
        return replace(problem, kernel=kernel), np.array([alpha])

    @property
    def _alone(self):
        """Whether samples are held out one by one."""
        return self.cv is None or isinstance(self.cv, str)

    def _routed(self, samples, scorer, params):
        """What of the parameters of `fit` is the scorer's, and what the splitter's."""
        weights = {}
        if samples.weights is not None:
            weights["sample_weight"] = np.zeros(samples.X_all.shape[0], samples.weights.dtype)
            weights["sample_weight"][samples.places] = samples.weights
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **params, **weights)
            return tuple(routed[name][method] if name in routed else {} for name, method in _CONSUMERS)
        if params.keys() - {"groups"}:
            unknown = ", ".join(sorted(params.keys() - {"groups"}))
            raise TypeError(
                f"{type(self).__name__}.fit got {unknown}, but takes only groups unless metadata routing is enabled: "
                "sklearn.set_config(enable_metadata_routing=True)."
            )
        return weights, params

    def get_metadata_routing(self):
        """Who of this estimator, its scorer and its splitter requests what of `fit`'s metadata.

        Returns
        -------
        routing : MetadataRouter
        """
        router = MetadataRouter(owner=self).add_self_request(self)
        if self.scoring is not None:
            mapping = MethodMapping().add(caller="fit", callee="score")
            router.add(scorer=check_scoring(self, self.scoring), method_mapping=mapping)
        if not self._alone:
            mapping = MethodMapping().add(caller="fit", callee="split")
            router.add(splitter=check_cv(self.cv), method_mapping=mapping)
        return router

    def predict(self, X):
        """Predicted values.

        Parameters
        ----------
        X : array-like or sparse array of shape (n_samples, n_features)
            With kernel="precomputed", the kernel between these samples and those of `fit`.

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_targets), of the dtype of the training data
        """
        return self._decide(self._validated_query(X))


_CONSUMERS = ("scorer", "score"), ("splitter", "split")


def _plain(value):
    """A float, or an array of one for each target."""
    return value if np.ndim(value) else float(value)


def _valid_bounds(bounds):
    values = np.asarray(bounds, dtype=np.float64)
    if values.shape != (2,) or not 0 < values[0] < values[1] < np.inf:
        raise ValueError(f"bounds must be two positive numbers in ascending order, got {bounds!r}.")
    return values.tolist()


def _penalties(alphas):
    alphas = np.atleast_1d(np.asarray(alphas, dtype=np.float64))
    if alphas.ndim > 1 or not len(alphas) or not np.all((alphas > 0) & (alphas < np.inf)):
        raise ValueError(f"alphas must be one or several finite numbers above 0, got {alphas.tolist()}.")
    return alphas
