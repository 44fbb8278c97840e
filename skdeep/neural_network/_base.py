"""What all estimators of networks share: fit is validate, encode, compile, run, store."""

import copy
import warnings
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import train_test_split
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from skdeep._sklearn import (
    FitTasks,
    Interval,
    Options,
    StrOptions,
    fitting,
    float_dtypes,
    refuse_dates_and_masks,
    sample_weights,
)
from skdeep.engine.activations import ACTIVATIONS
from skdeep.networks.initialisers import INITIALISERS, xavier_uniform
from skdeep.networks.layers import BatchNorm, Dense, Dropout
from skdeep.networks.network import Network
from skdeep.networks.run import Run, predict
from skdeep.networks.summary import as_html, as_text, layer_names, summary_table
from skdeep.networks.tangent import Tangent
from skdeep.training.augmentation import Augmentation
from skdeep.training.epochs import Data, History, Plan, Validation, train
from skdeep.training.lbfgs import minimise
from skdeep.training.optimisers import SGD, STOCHASTIC, Adam, Objective, RMSprop
from skdeep.training.schedules import SCHEDULES

TOO_SMALL = "The validation set is too small."
_SHARE = Interval(Real, 0, 1, closed="left")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
_POSITIVE = Interval(Real, 0, None, closed="neither")
_COUNT = Interval(Integral, 1, None, closed="left")


def layer_sizes(value, name):
    """The units of each layer, from an int or a sequence of them."""
    sizes = np.atleast_1d(np.asarray(value))
    if sizes.ndim > 1 or (sizes.size and (sizes.dtype.kind not in "iu" or sizes.min() < 1)):
        raise ValueError(f"{name} must be integers of at least 1, got {value!r}.")
    return [int(size) for size in sizes]


def for_each_layer(value, n, name, layers="hidden layers"):
    """A list of n values from one for all layers or a sequence of one for each."""
    if isinstance(value, str) or np.ndim(value) == 0:
        return [value] * n
    if len(value) != n:
        raise ValueError(f"{name}={value!r} must be one value, or one for each of the {n} {layers}.")
    return list(value)


@dataclass(frozen=True)
class OptimizerState:
    """The optimiser's memory, with which a training goes on."""

    solver: str
    learning_rate: float
    first: np.ndarray
    second: np.ndarray
    n_updates: int


class NeuralNetwork(CallbackSupportMixin, BaseEstimator):
    """Parameters of training, and the five steps of fit.

    A subclass gives its outputs (`_outputs_for` and what goes with it), `_hidden_layers` (the description)
    and, where X is no table, `_rows`.
    """

    _parameter_constraints = {
        "hidden_layer_sizes": ["array-like", _COUNT],
        "activation": [StrOptions(set(ACTIVATIONS)), "array-like"],
        "solver": [StrOptions(STOCHASTIC | {"lbfgs"})],
        "alpha": [_NOT_NEGATIVE],
        "batch_size": [StrOptions({"auto"}), _COUNT],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [_POSITIVE],
        "power_t": [_NOT_NEGATIVE],
        "max_iter": [_COUNT],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [_NOT_NEGATIVE],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [_SHARE],
        "beta_1": [_SHARE],
        "beta_2": [_SHARE],
        "epsilon": [_POSITIVE],
        "n_iter_no_change": [_COUNT, Options(Real, {np.inf})],
        "max_fun": [_COUNT],
        "batch_norm": ["boolean"],
        "weight_init": [StrOptions(set(INITIALISERS))],
        "lr_schedule": [StrOptions(set(SCHEDULES)), callable, None],
        "dropout": [_SHARE, "array-like"],
        "weight_decay": [_NOT_NEGATIVE],
        "l1": [_NOT_NEGATIVE],
        "clip_norm": [_POSITIVE, None],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "restore_best": ["boolean"],
    }
    # Whether the last of max_iter epochs is a warning's worth.
    _expects_convergence = False
    _x_checks = {}

    def _store(self, parameters):
        """Store what __init__ was called with, its locals()."""
        vars(self).update((name, parameters[name]) for name in self._get_param_names())

    @fitting
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Converted to float64 unless it is float32, in which case all is float32.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels or values.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            At least 0; a sample of weight 0 is as good as absent.
        X_val, y_val : array-likes as X and y, or None, default=None
            Data to validate on after each epoch, but not under "lbfgs". With `early_stopping` they take the place
            of a part of X.
        sample_weight_val : array-like of shape (n_validation_samples,) or None, default=None
            Weights of the validation data.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the input does not fit, or if training diverges; the estimator is then as before.
        """
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))

    def _fit(self, X, y, sample_weight, held_out=(None, None, None), *, known=None, incremental=False):
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        goes_on = hasattr(self, "theta_") and (self.warm_start or incremental)
        X, y, shape = self._validate(X, y, self._network.input_shape if goes_on else None)
        if goes_on:
            known = self._outputs.binarizer
        outputs, y = self._outputs_for(y, known)
        if known is not None:
            self._check_classes(y, outputs, exactly=self.warm_start and not incremental)
        rng = check_random_state(self.random_state)
        network = Network(
            [*self._hidden_layers(shape), Dense(outputs.n_outputs, activation=outputs.activation)],
            shape,
            getattr(self, "data_format", "NHWC"),
        )
        if goes_on:
            theta, statistics = self._continued(network, X.dtype)
        else:
            theta, statistics = network.initialise(self._initialisers(network), rng, X.dtype), None
        history, rng = self._history_to_go_on(goes_on, incremental, rng)
        data, validation = self._split(X, y, sample_weight, held_out, outputs, shape, rng)
        run = Run(
            network,
            theta,
            self._batch_size(data.X.shape[0]),
            statistics=statistics,
            clipping=self.clip_norm is not None,
        )
        del theta  # of which the run has its own copy
        if goes_on and self._optimizer.solver == self.solver:
            state = self._optimizer
            run.first[...], run.second[...], run.n_updates = state.first, state.second, state.n_updates
        learned = partial(self._learned, network, run, outputs, history, validation is not None)
        plan = self._plan(network, outputs, rng, 1 if incremental else self.max_iter)
        tasks = FitTasks(self, "epoch", X, y, sample_weight, learned, plan.max_iter)
        self._train(run, data, plan, history, rng, tasks, validation, learned, incremental)
        vars(self).update(learned(copied=False))
        return self

    # -------------------------------------------------------------------------------------- data

    def _validate(self, X, y, shape):
        """Arrays from the user's data, and the shape of one sample; `shape` is that of those before, None if first."""
        checks = self._x_checks | self._y_checks
        if checks.get("y_numeric"):
            refuse_dates_and_masks(y, "y")
        X, y = validate_data(self, X, y, dtype=float_dtypes(X), order="C", reset=shape is None, **checks)
        return X.tocsr() if sparse.issparse(X) else X, y, (X.shape[1],)

    def _rows(self, X, **checks):
        checks = self._x_checks | checks
        X = validate_data(self, X, dtype=float_dtypes(X), order="C", reset=False, **checks)
        return X.tocsr() if sparse.issparse(X) else X

    def _split(self, X, y, sample_weight, held_out, outputs, shape, rng):
        """What to train on, and what to validate on if anything."""
        X, y, weights = _present(X, y, sample_weights(sample_weight, X))
        if self.solver == "lbfgs":
            return self._data(X, y, weights, outputs), None
        if any(part is not None for part in held_out):
            return self._data(X, y, weights, outputs), self._given_validation(*held_out, X.dtype, outputs, shape)
        if not self.early_stopping:
            return self._data(X, y, weights, outputs), None
        train, test = train_test_split(
            np.arange(X.shape[0]),
            random_state=rng,
            test_size=self.validation_fraction,
            stratify=outputs.strata(y),
        )
        if len(test) < 2:
            raise ValueError(f"{TOO_SMALL} Increase 'validation_fraction' or the size of your dataset.")
        part = lambda rows: (X[rows], y[rows], None if weights is None else weights[rows], outputs)
        return self._data(*part(train)), self._validation(*part(test))

    def _given_validation(self, X, y, weights, dtype, outputs, shape):
        """The user's own validation data, which must be of the kind of the training data."""
        if X is None or y is None:
            raise ValueError("X_val needs y_val, and y_val and sample_weight_val need X_val.")
        try:
            X, y, _ = self._validate(X, y, shape)
            given, y = self._outputs_for(y, outputs.binarizer)
            if given.n_outputs != outputs.n_outputs:
                raise ValueError(f"y has {given.n_outputs} outputs, that of the training data has {outputs.n_outputs}.")
            self._check_classes(y, outputs, exactly=False)
            if self.early_stopping and len(y) < 2:
                raise ValueError(TOO_SMALL)
            X = _cast(X, dtype)
            return self._validation(X, y, sample_weights(weights, X), outputs)
        except (ValueError, TypeError) as error:
            raise type(error)(f"In the validation data X_val, y_val, sample_weight_val: {error}") from error

    def _data(self, X, y, weights, outputs):
        """Samples and their targets, the weights times those of their classes."""
        of_classes = self._class_weights(y)
        if of_classes is not None:
            X, y, weights = _present(X, y, sample_weights(of_classes if weights is None else weights * of_classes, X))
        return Data(X, outputs.encode(y, X.dtype), weights)

    def _validation(self, X, y, weights, outputs):
        """Held-out data with the function that scores the outputs of a network on it."""
        scorer = None if self.scoring is None else check_scoring(self, scoring=self.scoring)
        kwargs = {} if weights is None else {"sample_weight": weights}

        def score(scores, learned):
            if scorer is None:
                with np.errstate(all="ignore"):  # a diverging net is not the metric's to report
                    return outputs.default_metric(y, outputs.predict(scores), **kwargs)
            fitted = copy.copy(self)
            vars(fitted).update(learned())
            vars(fitted).pop("feature_names_in_", None)  # the names of X, whose columns are here without
            return scorer(fitted, X, y, **kwargs)

        return Validation(Data(X, outputs.encode(y, X.dtype), weights), score)

    # ---------------------------------------------------------------------------------- training

    def _train(self, run, data, plan, history, rng, tasks, validation, learned, incremental):
        say = print if self.verbose else None
        if self.solver == "lbfgs":
            self._check_smooth(run.network, plan)
            weights_of, iteration = run.network.coefs, lambda: tasks.begin()()
            result = minimise(
                run, data, plan, history, weights_of, max_fun=self.max_fun, end_iteration=iteration, say=say or str
            )
            if not result.converged:
                warnings.warn(
                    f"lbfgs failed to converge after {history.n_iter} iteration(s): {result.message}. Increase "
                    f"max_iter (={self.max_iter}) or max_fun (={self.max_fun}), or scale the data.",
                    ConvergenceWarning,
                    stacklevel=5,
                )
        else:
            converged = train(run, data, plan, history, rng, tasks.begin, validation, learned, say)
            if self._expects_convergence and not converged and not incremental:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                    "converged yet.",
                    ConvergenceWarning,
                    stacklevel=5,
                )
        history.end()
        tasks.end()

    def _check_smooth(self, network, plan):
        reasons = [repr(bound.layer) for bound in network.bound if _is_noisy(bound.layer)]
        reasons += [f"l1={self.l1!r}"] if self.l1 else []
        reasons += [f"augment={self.augment!r}"] if plan.augmentation is not None else []
        if reasons:
            raise ValueError(
                f'solver="lbfgs" minimises a smooth function of all samples, and with {reasons[0]} there is none: do '
                f"without it, or take a solver of {sorted(STOCHASTIC)}."
            )

    def _plan(self, network, outputs, rng, max_iter):
        augment = getattr(self, "augment", None)
        augmentation = None if augment is None else Augmentation(augment, network.input_shape, network.data_format)
        draws = augmentation is not None or any(isinstance(bound.layer, Dropout) for bound in network.bound)
        return Plan(
            max_iter=max_iter,
            loss=outputs.loss,
            optimiser=self._optimiser(),
            objective=Objective(
                alpha=self.alpha,
                l2=0.0 if self.solver == "adamw" else self.weight_decay,
                l1=self.l1,
                loss_parameter=outputs.loss_parameter,
            ),
            mode=self.learning_rate if self.solver == "sgd" else "constant",
            power_t=self.power_t,
            schedule=self.lr_schedule,
            shuffle=self.shuffle,
            tol=self.tol,
            patience=self.n_iter_no_change,
            stop_early=self.early_stopping,
            restore_best=self.restore_best,
            augmentation=augmentation,
            # Without need no draw is taken from what scikit-learn draws.
            seed=int(rng.randint(2**31)) if draws else 0,
        )

    def _optimiser(self):
        clip_norm = 0.0 if self.clip_norm is None else self.clip_norm
        if self.solver == "sgd":
            return SGD(self.learning_rate_init, self.momentum, self.nesterovs_momentum, clip_norm)
        if self.solver == "rmsprop":
            return RMSprop(self.learning_rate_init, self.beta_2, self.epsilon, clip_norm)
        decay = self.weight_decay if self.solver == "adamw" else 0.0
        return Adam(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon, decay, clip_norm)

    def _initialisers(self, network):
        """One for each layer with weights."""
        initialisers = [INITIALISERS[self.weight_init]] * len(network.with_weights)
        if self.weight_init == "xavier_uniform":
            # scikit-learn draws the weights of logistic networks from a narrower range, those of the output as well.
            *hidden, _ = network.activations
            for i, activation in enumerate([*hidden, hidden[-1] if hidden else self.activation]):
                if activation == "logistic":
                    initialisers[i] = partial(xavier_uniform, factor=2.0)
        return initialisers

    def _batch_size(self, n_samples):
        return min(200 if self.batch_size == "auto" else self.batch_size, n_samples)

    # ------------------------------------------------------------------- going on, and what is learned

    def _continued(self, network, dtype):
        """Parameters of the last fit, which this one begins with."""
        before = [bound.output_shape for bound in self._network.bound]
        if [bound.output_shape for bound in network.bound] != before or network.n_parameters != len(self.theta_):
            raise ValueError(
                f"The network has changed since the last fit, from layers of {before} units: set warm_start=False, or "
                "fit a clone."
            )
        return self.theta_.astype(dtype), self._statistics.astype(dtype)

    def _history_to_go_on(self, goes_on, incremental, rng):
        """The history of the last fit if there was one, and the random numbers for all draws from here on."""
        history = copy.deepcopy(self._history) if goes_on else History(self.learning_rate_init)
        stopped = history.start is not None and not incremental
        decays = self.solver == "sgd" and self.learning_rate != "constant"
        if goes_on and not (self._optimizer.solver == self.solver and (incremental or (stopped and decays))):
            history.learning_rate = self.learning_rate_init
        if stopped:
            return history, history.go_on()
        if incremental:
            history.end()
        else:
            history.begin(rng)
        return history, rng

    def _learned(self, network, run, outputs, history, validated, copied=True):
        """The learned attributes: copies while the run goes on, its own arrays when it has ended."""
        stops_early = self.early_stopping and validated
        theta, first, second, statistics = (
            array.copy() if copied else array for array in (run.theta, run.first, run.second, run.statistics)
        )
        return {
            "_network": network,
            "_outputs": outputs,
            "_history": copy.deepcopy(history),
            "_optimizer": OptimizerState(self.solver, history.learning_rate, first, second, run.n_updates),
            "_statistics": statistics,
            "_no_improvement_count": history.no_improvement_count,
            "theta_": theta,
            "loss_": history.loss_curve[-1] if history.loss_curve else np.nan,
            "loss_curve_": list(history.loss_curve),
            "best_loss_": None if stops_early else history.best_loss,
            "validation_scores_": list(history.validation_scores) if validated else None,
            "best_validation_score_": history.best_score if validated else None,
            "validation_loss_curve_": list(history.validation_loss_curve) if validated else None,
            "best_epoch_": history.best_epoch,
            "lr_curve_": list(history.lr_curve),
            "grad_norm_curve_": list(history.grad_norm_curve),
            "n_iter_": history.n_iter,
            "t_": history.n_samples_seen,
            "n_layers_": len(network.with_weights) + 1,
            "n_outputs_": network.n_outputs,
            "n_parameters_": network.n_parameters,
            "out_activation_": outputs.out_activation,
            **self._output_attributes(outputs),
        }

    # ------------------------------------------------------------------------------- predictions

    def _scores(self, X):
        """Outputs of the last layer, array of shape (n_samples, n_outputs)."""
        check_is_fitted(self)
        return self._activations(self._network, X)

    def _activations(self, network, X):
        """Outputs of a network of the first layers of the fitted one."""
        # Dense layers make NaN of all that is not finite: X need not be read for it before.
        finite_by_outputs = isinstance(network.bound[0].layer, Dense)
        X = self._typed_rows(X, ensure_all_finite=not finite_by_outputs)
        theta, statistics = self.theta_[: network.n_parameters], self._statistics[: network.n_statistics]
        outputs = predict(network, theta, statistics, X)
        if finite_by_outputs and not np.isfinite(outputs).all():
            numbers = X.data if sparse.issparse(X) else X
            assert_all_finite(numbers, input_name="X", estimator_name=type(self).__name__)
        return outputs

    def _typed_rows(self, X, **checks):
        """X as the fitted network reads it."""
        return _cast(self._rows(X, **checks), self.theta_.dtype)

    def _tangent(self):
        """The derivatives of the last layer's outputs by `theta_`."""
        check_is_fitted(self)
        return Tangent(self._network, self.theta_, self._statistics)

    def _identity(self):
        """What the fitted network computes, as what can be compared and hashed."""
        check_is_fitted(self)
        network = self._network
        layers = tuple((repr(bound.layer), bound.source, bound.second) for bound in network.bound)
        parameters = self.theta_.dtype.str, self.theta_.tobytes(), self._statistics.tobytes()
        return type(self), layers, network.input_shape, network.data_format, *parameters

    def summary(self):
        """The fitted network as a table: each layer, its output's shape, parameters, multiply-adds and bytes.

        Returns
        -------
        table : str
        """
        check_is_fitted(self)
        return as_text(self._summary_table())

    def _summary_table(self):
        return summary_table(self._network, self._layer_names(), self.theta_.dtype)

    def _layer_names(self):
        """The names of the network's layers."""
        return [*layer_names(self._network.layers[:-1]), "output"]

    def _html_repr(self):
        """In notebooks: the architecture, once there is one, under scikit-learn's own table of parameters."""
        return super()._html_repr() + (as_html(self._summary_table()) if hasattr(self, "theta_") else "")

    @property
    def coefs_(self):
        """Views of `theta_`: the weights of each layer."""
        return self._network.coefs(self.theta_)

    @property
    def intercepts_(self):
        """Views of `theta_`: the biases of each layer."""
        return self._network.intercepts(self.theta_)


def _is_noisy(layer):
    """Whether its output for a sample depends on more than that."""
    return isinstance(layer, BatchNorm | Dropout)


def _cast(X, dtype):
    """X in the precision of a network, which must hold it."""
    if X.dtype == dtype:
        return X
    with np.errstate(all="ignore"):
        X = X.astype(dtype)
        assert_all_finite(X, input_name="X")
    return X


def _present(X, y, weights):
    """The samples of positive weight."""
    if weights is None or weights.all():
        return X, y, weights
    kept = np.flatnonzero(weights)
    return X[kept], y[kept], weights[kept]
