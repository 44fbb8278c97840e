"""Convolutional networks."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from skdeep._sklearn import Composition, Interval, StrOptions
from skdeep.networks.layers import Layer
from skdeep.networks.summary import layer_names
from skdeep.neural_network._architecture import CONSTRAINTS, hidden_layers
from skdeep.neural_network._base import NeuralNetwork
from skdeep.neural_network._docs import documented
from skdeep.neural_network._images import as_rows, image_shape
from skdeep.neural_network._outputs import ClassifierOutputs, RegressorOutputs

_WEIGHTS = (
    "weights of convolutions (height, width, inputs / groups, outputs), of locally connected layers (rows, columns, "
    "height, width, inputs, outputs) and of dense layers (inputs, outputs), and biases. Maps are flattened in the "
    "order height, width, channel."
)


class _ConvNet(ClassNamePrefixFeaturesOutMixin, TransformerMixin, NeuralNetwork, Composition):
    """Layers on images."""

    _parameter_constraints = NeuralNetwork._parameter_constraints | CONSTRAINTS

    def get_params(self, deep=True):
        """Parameters of the network and, if they have names, of its layers.

        Parameters
        ----------
        deep : bool, default=True
            Whether those of the layers are wanted, too.

        Returns
        -------
        params : dict
        """
        return self._get_params("layers", deep) if self._has_names() else super().get_params(deep)

    def set_params(self, **params):
        """Set parameters, those of named layers as in ``set_params(conv1__filters=32)``.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self : object
        """
        self.layers = params.pop("layers", self.layers)
        return self._set_params("layers", **params) if self._has_names() else super().set_params(**params)

    def _has_names(self):
        """Whether `layers` are (name, layer) pairs."""
        pairs = self.layers if isinstance(self.layers, list) else []
        is_named = lambda pair: isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)
        return bool(pairs) and all(map(is_named, pairs))

    # -------------------------------------------------------------------------------------- images

    def _validate(self, X, y, shape):
        X, told = self._as_rows(X, shape)
        X, y, _ = super()._validate(X, y, shape)
        return X, y, image_shape(X.shape[1], self.image_shape, told or shape, self.data_format)

    def _rows(self, X, **checks):
        X, _ = self._as_rows(X, self.image_shape_in_)
        return super()._rows(X, **checks)

    def _as_rows(self, X, shape):
        """A row for each image, and the shape that X tells, which is `shape` unless that is None."""
        X, told = as_rows(X, self.data_format, self.image_shape)
        if shape is not None and told not in (shape, None):
            raise ValueError(
                f"X has images of (height, width, channels) {told}, but {type(self).__name__} was fitted on {shape}."
            )
        return X, told

    def _learned(self, network, *args, **kwargs):
        names = self._hidden_names(network.layers[:-1])
        return super()._learned(network, *args, **kwargs) | {"image_shape_in_": network.input_shape, "_names": names}

    # -------------------------------------------------------------------------------------- layers

    def _hidden_layers(self, shape):
        if self.layers is None:
            return hidden_layers(self, shape)
        layers = [layer for _, layer in self.layers] if self._has_names() else self.layers
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(
                    "layers must be objects of skdeep.networks such as Dense(10), or all of them pairs of a name and "
                    f"such an object, got {layer!r}."
                )
        try:
            self._validate_names([*self._hidden_names(layers), "output"])
        except ValueError as error:
            raise ValueError(
                f"Names of layers must be unique, neither parameters of {type(self).__name__} nor "
                f'"output", and without "__": {error}.'
            ) from error
        return [clone(layer) for layer in layers]

    def _hidden_names(self, layers):
        """The user's names of the hidden layers, or automatic ones."""
        return [name for name, _ in self.layers] if self._has_names() else layer_names(layers)

    def _layer_names(self):
        return [*self._names, "output"]

    @property
    def layers_(self):
        """The fitted network's layers, with their names, the output last."""
        return list(zip(self._layer_names(), self._network.layers, strict=True))

    def _position(self, layer):
        """The place in `layers_` from a name or a place; one below 0 counts from the last hidden layer."""
        check_is_fitted(self)
        names = self._layer_names()
        n_hidden = len(names) - 1
        if isinstance(layer, Integral) and -n_hidden <= layer <= n_hidden:
            return layer + n_hidden if layer < 0 else layer
        if layer in names:
            return names.index(layer)
        raise ValueError(f"layer must be the name or the place of one of the layers {names}, got {layer!r}.")

    def _up_to(self, layer):
        """The network that ends with a layer."""
        position = self._position(layer)
        return self._network.up_to(position + 1)

    def weights_of(self, layer):
        """The weights of a layer, a view of `theta_`.

        Parameters
        ----------
        layer : int or str
            Its place in `layers_`, or its name.

        Returns
        -------
        weights : array or None
            Of a convolution (height, width, inputs / groups, outputs); None for a layer that has none.
        """
        position = self._position(layer)
        weights = self._network.bound[self._network.ends[position]].weights
        return None if weights is None else weights.view(self.theta_)

    @property
    def receptive_field_(self):
        """Height and width, in pixels of the input, that a number of the last maps depends on."""
        maps = [i for i, bound in enumerate(self._network.bound) if len(bound.output_shape) == 3]
        return self._network.receptive_fields[maps[-1]] if maps else self.image_shape_in_[:2]

    def transform(self, X, layer=-1):
        """Activations of a hidden layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or of images
        layer : int or str, default=-1
            Its place in `layers_`, or its name; -1 is the last hidden layer.

        Returns
        -------
        activations : array of shape (n_samples, n_units)
            Maps are flattened in the order height, width, channel.
        """
        return self._activations(self._up_to(layer), X)

    def feature_maps(self, X, layer):
        """Activations of a hidden layer of maps, as images.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or of images
        layer : int or str
            Its place in `layers_`, or its name.

        Returns
        -------
        maps : array of shape (n_samples, height, width, channels), or as `data_format` says

        Raises
        ------
        ValueError
            If the layer has units instead of maps.
        """
        network = self._up_to(layer)
        if len(network.output_shape) != 3:
            with_maps = [
                name
                for name, end in zip(self._layer_names(), self._network.ends, strict=True)
                if len(self._network.bound[end].output_shape) == 3
            ]
            raise ValueError(f"The layer {layer!r} has units and no maps: those with maps are {with_maps}.")
        maps = self._activations(network, X).reshape(-1, *network.output_shape)
        return maps if self.data_format == "NHWC" else np.ascontiguousarray(maps.transpose(0, 3, 1, 2))

    @property
    def _n_features_out(self):
        return int(np.prod(self._network.bound[-1].input_shape))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


@documented(batch_size="128", max_iter="20", coefs=_WEIGHTS)
class ConvNetClassifier(ClassifierOutputs, _ConvNet):
    """Convolutional network classifier: convolutions and pools, then dense layers; by default LeNet-5.

    Each convolution is followed by its activation and, if there is a pool, by that. Kernels and pools
    larger than the map that reaches them are clipped to it. LeCun, Bottou, Bengio & Haffner (1998).

    Parameters
    ----------
    %(architecture)s
    %(training)s
    loss : {"log_loss", "squared_error"}, default="log_loss"
        Cross-entropy, or the squared error of logistic outputs.
    %(beyond)s
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, by which those of the samples are multiplied; "balanced" is n_samples /
        (n_classes * count).
    label_smoothing : float, default=0.0
        Share of each target that all classes get alike, in [0, 1).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    %(images)s
    %(learned)s

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdeep import ConvNetClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> net = ConvNetClassifier((8, 16), kernel_size=3, random_state=0).fit(X / 16, y)
    >>> float(net.score(X / 16, y)) > 0.95
    True
    """

    _parameter_constraints = _ConvNet._parameter_constraints | {
        "loss": [StrOptions({"log_loss", "squared_error"})],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        filters=(6, 16),
        *,
        kernel_size=5,
        stride=1,
        padding="same",
        dilation=1,
        groups=1,
        pool="max",
        pool_size=2,
        pool_stride=None,
        global_pool=None,
        conv_batch_norm=False,
        conv_dropout=0.0,
        residual=False,
        locally_connected=False,
        hidden_layer_sizes=(120, 84),
        layers=None,
        image_shape=None,
        data_format="NHWC",
        augment=None,
        activation="relu",
        solver="adam",
        alpha=0.0001,
        batch_size=128,
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=20,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        loss="log_loss",
        weight_init="xavier_uniform",
        lr_schedule=None,
        class_weight=None,
        dropout=0.0,
        batch_norm=False,
        weight_decay=0.0,
        l1=0.0,
        clip_norm=None,
        label_smoothing=0.0,
        scoring=None,
        restore_best=True,
    ):
        self._store(locals())


@documented(batch_size="128", max_iter="20", coefs=_WEIGHTS)
class ConvNetRegressor(RegressorOutputs, _ConvNet):
    """Convolutional network regressor: convolutions and pools, then dense layers, for one value or several.

    Each convolution is followed by its activation and, if there is a pool, by that. Kernels and pools
    larger than the map that reaches them are clipped to it. LeCun, Bottou, Bengio & Haffner (1998).

    Parameters
    ----------
    %(architecture)s
    %(training)s
    loss : {"squared_error", "poisson", "absolute_error", "huber", "quantile"}, default="squared_error"
        Mean over the samples, sum over the outputs, as of `MLPBackpropRegressor`.
    %(beyond)s
    huber_delta : float, default=1.0
        Error beyond which the Huber loss is linear, in units of y.
    quantile : float, default=0.5
        Level of the quantile loss, in (0, 1).

    Attributes
    ----------
    %(images)s
    %(learned)s

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skdeep import ConvNetRegressor
    >>> X = load_digits().images / 16
    >>> left, right = X[:, :, :4].sum(axis=(1, 2)), X[:, :, 4:].sum(axis=(1, 2))
    >>> net = ConvNetRegressor((8, 8), kernel_size=3, random_state=0).fit(X, right - left)
    >>> float(net.score(X, right - left)) > 0.95
    True
    """

    _parameter_constraints = _ConvNet._parameter_constraints | {
        "loss": [StrOptions({"squared_error", "poisson", "absolute_error", "huber", "quantile"})],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        filters=(6, 16),
        *,
        kernel_size=5,
        stride=1,
        padding="same",
        dilation=1,
        groups=1,
        pool="max",
        pool_size=2,
        pool_stride=None,
        global_pool=None,
        conv_batch_norm=False,
        conv_dropout=0.0,
        residual=False,
        locally_connected=False,
        hidden_layer_sizes=(120, 84),
        layers=None,
        image_shape=None,
        data_format="NHWC",
        augment=None,
        activation="relu",
        solver="adam",
        alpha=0.0001,
        batch_size=128,
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=20,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        loss="squared_error",
        weight_init="xavier_uniform",
        lr_schedule=None,
        dropout=0.0,
        batch_norm=False,
        weight_decay=0.0,
        l1=0.0,
        clip_norm=None,
        scoring=None,
        restore_best=True,
        huber_delta=1.0,
        quantile=0.5,
    ):
        self._store(locals())
