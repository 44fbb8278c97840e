"""What all estimators of networks share: fit is validate, encode, compile, run, store."""

from functools import partial
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from skdeep._sklearn import Interval, StrOptions, fitting, float_dtypes
from skdeep.engine.activations import ACTIVATIONS
from skdeep.networks.initialisers import INITIALISERS, xavier_uniform
from skdeep.networks.layers import Dense
from skdeep.networks.network import Network
from skdeep.networks.run import PREDICTION_BATCH, Run
from skdeep.training.epochs import train
from skdeep.training.optimisers import SGD, Adam


def layer_sizes(value, name):
    """The units of each layer, from an int or a sequence of them."""
    sizes = np.atleast_1d(np.asarray(value))
    if sizes.ndim > 1 or (sizes.size and (sizes.dtype.kind not in "iu" or sizes.min() < 1)):
        raise ValueError(f"{name} must be integers of at least 1, got {value!r}.")
    return [int(size) for size in sizes]


class NeuralNetwork(CallbackSupportMixin, BaseEstimator):
    """Parameters of training, and the five steps of fit.

    A subclass gives `_encode` (targets), `_hidden_layers` (the description) and, where X is no table,
    `_rows`.
    """

    _parameter_constraints = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "solver": [StrOptions({"sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "weight_init": [StrOptions(set(INITIALISERS))],
    }

    @fitting
    def fit(self, X, y):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Converted to float64 unless it is float32, in which case all is float32.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels or values.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the input does not fit, or if training diverges; the estimator is then as before.
        """
        X, y, shape = self._validate(X, y)
        targets = self._encode(y, X.dtype)
        output = Dense(targets.Y.shape[1], activation=targets.activation)
        network = Network([*self._hidden_layers(shape), output], shape, getattr(self, "data_format", "NHWC"))
        learned = self._train(network, X, y, targets)
        vars(self).update(learned)
        return self

    def _validate(self, X, y):
        """Arrays from the user's data, and the shape of one sample."""
        X, y = validate_data(self, X, y, dtype=float_dtypes(X), order="C", **self._y_checks)
        return X, y, (X.shape[1],)

    def _train(self, network, X, y, targets):
        """Run the epochs; the learned attributes as a dict."""
        rng = check_random_state(self.random_state)
        theta = network.initialise(self._initialiser(), rng, X.dtype)
        run = Run(network, theta, self._batch_size(len(X)))
        reports = self._init_callback_context(max_subtasks=self.max_iter)
        reports.call_on_fit_task_begin(estimator=self, X=X, y=y)
        learned = partial(self._learned, network, run, targets)

        def begin_epoch():
            epoch = reports.subcontext(task_name="epoch")
            epoch.call_on_fit_task_begin(estimator=self, X=X, y=y)
            return partial(end_epoch, epoch)

        def end_epoch(epoch, history):
            if self.verbose:
                print(f"Iteration {len(history.loss_curve)}, loss = {history.loss_curve[-1]:.8f}")
            return epoch.call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=lambda: learned(history)
            )

        history = train(
            run,
            X,
            targets.Y,
            targets.loss,
            self._optimiser().hyperparameters(self.alpha),
            max_iter=self.max_iter,
            in_random_order=self.shuffle,
            rng=rng,
            tol=self.tol,
            patience=self.n_iter_no_change,
            begin_epoch=begin_epoch,
        )
        self._after_training(history)
        reports.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes=lambda: learned(history))
        return learned(history)

    def _learned(self, network, run, targets, history):
        return {
            "_network": network,
            "theta_": run.theta.copy(),
            "loss_curve_": list(history.loss_curve),
            "loss_": history.loss_curve[-1],
            "best_loss_": min(history.loss_curve),
            "n_iter_": len(history.loss_curve),
            "n_layers_": len(network.with_parameters) + 1,
            "n_outputs_": network.n_outputs,
            "n_parameters_": network.n_parameters,
            **targets.attributes,
        }

    def _after_training(self, history):
        """Say what the end of training calls for."""

    def _initialiser(self):
        # scikit-learn draws the weights of logistic networks from a narrower range.
        if self.weight_init == "xavier_uniform" and self.activation == "logistic":
            return partial(xavier_uniform, factor=2.0)
        return INITIALISERS[self.weight_init]

    def _optimiser(self):
        if self.solver == "sgd":
            return SGD(self.learning_rate_init, self.momentum, self.nesterovs_momentum)
        return Adam(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)

    def _batch_size(self, n_samples):
        if self.batch_size == "auto":
            return min(200, n_samples)
        return min(self.batch_size, n_samples)

    def _scores(self, X):
        """Outputs of the last layer, array of shape (n_samples, n_outputs)."""
        check_is_fitted(self)
        X = self._rows(X).astype(self.theta_.dtype, copy=False)
        return Run(self._network, self.theta_, min(PREDICTION_BATCH, max(len(X), 1)), training=False).predict(X)

    def _rows(self, X):
        return validate_data(self, X, dtype=float_dtypes(X), order="C", reset=False)

    @property
    def coefs_(self):
        """Views of `theta_`: the weights of each layer."""
        return self._network.coefs(self.theta_)

    @property
    def intercepts_(self):
        """Views of `theta_`: the biases of each layer."""
        return self._network.intercepts(self.theta_)
