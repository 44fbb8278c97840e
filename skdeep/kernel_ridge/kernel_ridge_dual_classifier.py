"""Classification by kernel ridge regression of -1 and +1."""

from numbers import Real

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from skdeep._sklearn import FitTasks, Interval, StrOptions, fitting
from skdeep.kernel_ridge._base import SOLVER_CONSTRAINTS, KernelRidgeBase, warn_of
from skdeep.kernel_ridge._solvers import solve


class KernelRidgeDualClassifier(CallbackSupportMixin, ClassifierMixin, KernelRidgeBase):
    """Kernel ridge regression of -1 and +1, for each class against the rest.

    All classes share one factorisation, or the products of an iterative solver. This is the least squares support
    vector machine (Suykens & Vandewalle, 1999).

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, at least 0.
    kernel : str, Kernel or callable, default="rbf"
        As in `KernelRidgeDual`, and so are all that follow, but for the two last.
    gamma : float or None, default=None
    degree : int, default=3
    coef0 : float, default=1
    kernel_params : dict or None, default=None
    fit_intercept : bool, default=True
    solver : {"auto", "cholesky", "eigh", "primal", "pcg", "nystroem"}, default="auto"
    tol : float, default=1e-3
    max_iter : int or None, default=None
    n_components : int or None, default=None
    landmarks : {"rpcholesky", "uniform", "kmeans"} or array-like, default="rpcholesky"
    memory_limit : int or None, default=None
    random_state : int, RandomState instance or None, default=None
    verbose : bool, default=False
    class_weight : dict, "balanced" or None, default=None
        Factors of the weights of the samples of each class; "balanced" gives all classes the same total weight.
    store_leave_one_out : bool, default=False
        Whether to keep the decisions on each training sample by a fit to all others, which are exact and cost
        less than one more fit. Not with solver="pcg" and solver="nystroem".

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    dual_coef_ : ndarray of shape (n_samples,) or (n_samples, n_classes)
        The coefficients of the second of two classes, or of all classes.
    intercept_ : float or ndarray of shape (n_classes,)
    leave_one_out_decision_ : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Only with `store_leave_one_out`.
    X_fit_, kernel_, solver_, n_iter_, error_bound_
        As in `KernelRidgeDual`.
    n_features_in_ : int
        Features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, only where all were strings.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeep import KernelRidgeDualClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = KernelRidgeDualClassifier(alpha=0.1, gamma=0.3, store_leave_one_out=True).fit(X, y)
    >>> left_out = model.classes_[model.leave_one_out_decision_.argmax(axis=1)]
    >>> (left_out == y).sum()
    np.int64(145)
    """

    _parameter_constraints = {
        **KernelRidgeBase._parameter_constraints,
        **SOLVER_CONSTRAINTS,
        "alpha": [Interval(Real, 0, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "store_leave_one_out": ["boolean"],
    }

    def __init__(
        self,
        alpha=1.0,
        *,
        kernel="rbf",
        gamma=None,
        degree=3,
        coef0=1,
        kernel_params=None,
        fit_intercept=True,
        solver="auto",
        tol=1e-3,
        max_iter=None,
        n_components=None,
        landmarks="rpcholesky",
        memory_limit=None,
        random_state=None,
        verbose=False,
        class_weight=None,
        store_leave_one_out=False,
    ):
        self.alpha = alpha
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.kernel_params = kernel_params
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.n_components = n_components
        self.landmarks = landmarks
        self.memory_limit = memory_limit
        self.random_state = random_state
        self.verbose = verbose
        self.class_weight = class_weight
        self.store_leave_one_out = store_leave_one_out

    @fitting
    def fit(self, X, y, sample_weight=None):
        """Solve for the dual coefficients of all classes.

        Parameters
        ----------
        X : array-like or sparse array of shape (n_samples, n_features)
            Converted to float64 unless it is float32, in which case all is float32. With
            kernel="precomputed", the symmetric Gram matrix of shape (n_samples, n_samples).
        y : array-like of shape (n_samples,)
            Labels, of two classes at least.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Weights of at least 0: whole numbers are as good as repeated samples, and 0 as a sample left out.

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
        samples = self._validated(X, y, sample_weight)
        classes, codes = _one_against_rest(samples.y)
        if self.store_leave_one_out and self.alpha == 0:
            raise ValueError("store_leave_one_out=True needs alpha above 0.")
        tasks = FitTasks(self, "iteration", samples.X, samples.y, samples.weights)
        settings = {"leave_one_out": self.store_leave_one_out, "options": self._solver_options(tasks)}
        problem = self._problem(samples, codes, float(self.alpha), **settings)
        solution = solve(problem, self.solver, self.verbose)
        warn_of(solution, stacklevel=4)
        self._store(samples, problem, solution, codes.shape[1:])
        self.classes_, self.n_iter_, self.error_bound_ = classes, solution.n_iter, solution.error_bound
        if self.store_leave_one_out:
            self.leave_one_out_decision_ = self._left_out(samples, codes - solution.errors.reshape(codes.shape))
        tasks.end()
        return self

    def _reweighted(self, y, weights):
        check_classification_targets(y)
        if self.class_weight is None:
            return weights
        # A class is as large as its weights say.
        counted = np.arange(len(y)) if weights is None else np.flatnonzero(weights)
        classes, places = np.unique(y[counted], return_inverse=True)
        given = None if weights is None else weights[counted]
        factors = compute_class_weight(self.class_weight, classes=classes, y=y[counted], sample_weight=given)
        of_classes = np.zeros(len(y))
        of_classes[counted] = factors[places]
        if not np.all((of_classes >= 0) & (of_classes < np.inf)) or not of_classes.any():
            raise ValueError(f"class_weight must be finite, at least 0 and not 0 for all, got {self.class_weight!r}.")
        return of_classes if weights is None else (of_classes * weights).astype(weights.dtype)

    def _left_out(self, samples, decisions):
        """The decisions for all samples: those of weight 0 were left out of the one fit there is."""
        everywhere = np.empty((samples.X_all.shape[0], *decisions.shape[1:]), samples.X.dtype)
        everywhere[samples.places] = decisions
        rest = np.setdiff1d(np.arange(len(everywhere)), samples.places)
        if len(rest):
            everywhere[rest] = self._decide(samples.X_all[rest])
        return everywhere

    def decision_function(self, X):
        """Scores of the classes.

        Parameters
        ----------
        X : array-like or sparse array of shape (n_samples, n_features)
            With kernel="precomputed", the kernel between these samples and those of `fit`.

        Returns
        -------
        scores : array of shape (n_samples,) or (n_samples, n_classes)
            Of the second of two classes, positive where it is predicted, or of all classes.
        """
        return self._decide(self._validated_query(X))

    def predict(self, X):
        """The labels with the highest scores.

        Parameters
        ----------
        X : array-like or sparse array of shape (n_samples, n_features)
            With kernel="precomputed", the kernel between these samples and those of `fit`.

        Returns
        -------
        y : array of shape (n_samples,)
        """
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]


def _one_against_rest(y):
    """The classes and codes of +1 for them, -1 else: (n_samples,) for two, (n_samples, n_classes) for more."""
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(f"Classification needs at least two classes with weight, got one class: {classes[0]!r}.")
    codes = np.where(y[:, None] == classes, 1.0, -1.0)
    return classes, codes[:, 1] if len(classes) == 2 else codes
