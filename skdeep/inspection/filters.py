"""The filters of a convolution as images."""

from numbers import Integral

import numpy as np

from skdeep._sklearn import Interval, StrOptions, check_matplotlib_support, validate_params
from skdeep.inspection._images import ImagesDisplay
from skdeep.inspection._models import convnet_of


class FilterDisplay(ImagesDisplay):
    """The filters of a convolution, as a grid of small images.

    Filters of one input channel are grey, those of three are taken for red, green and blue, and of others the mean
    over the inputs is drawn. All have one scale: mid-grey is zero, black and white are the largest absolute value.
    Use `from_estimator` to create one from a network. All parameters are stored as attributes.

    Parameters
    ----------
    filters : array-like of shape (height, width, n_inputs, n_filters)
        Weights, as in `coefs_` of a network; of a convolution in groups, n_inputs are those of one group.
    name : str, default=None
        What the title begins with; `from_estimator` gives the layer.

    Attributes
    ----------
    bounding_ax_ : matplotlib Axes or None
        The axes that the grid lies in and that bears the title; None if `plot` was given an array of axes.
    axes_ : ndarray of matplotlib Axes
        In rows and columns, None where a row is not filled; or as given to `plot`.
    ims_ : list of matplotlib AxesImage
        One for each filter.
    figure_ : matplotlib Figure

    See Also
    --------
    FeatureMapDisplay : What a layer makes of an image.

    Notes
    -----
    Convolutions inside of a `Residual` have no name: they are in `coefs_`, as in ``FilterDisplay(net.coefs_[0])``. Of a
    locally connected layer, ``net.weights_of("local1")[i, j]`` are the filters at row i, column j.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skdeep import ConvNetClassifier
    >>> from skdeep.inspection import FilterDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> net = ConvNetClassifier((8, 16), kernel_size=3, max_iter=2, random_state=0).fit(X / 16, y)
    >>> display = FilterDisplay.from_estimator(net, layer="conv2", channel=0)
    >>> display.filters.shape, len(display.ims_)
    ((3, 3, 8, 16), 16)
    >>> plt.close(display.figure_)
    """

    def __init__(self, filters, *, name=None):
        self.filters = filters
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, layer=None, channel=None, n_cols=None, cmap="gray", im_kw=None, ax=None):
        """Draw the filters of a fitted network.

        Parameters
        ----------
        estimator : ConvNetClassifier, ConvNetRegressor or a Pipeline that ends in one
            Fitted.
        layer : int or str, default=None
            Name or place of the convolution in `layers_`; None is the first one.
        channel : int, "mean" or None, default=None
            As of `plot`.
        n_cols : int, default=None
            As of `plot`.
        cmap : str or matplotlib Colormap, default="gray"
            As of `plot`.
        im_kw : dict, default=None
            As of `plot`.
        ax : matplotlib Axes or array-like of Axes, default=None
            As of `plot`.

        Returns
        -------
        display : FilterDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is no convolutional network.
        ValueError
            If the layer does not exist or is no convolution; and what `plot` raises.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        layer, filters = _filters_of(convnet_of(estimator), layer)
        return cls(filters, name=f"layer {layer}").plot(ax, channel=channel, n_cols=n_cols, cmap=cmap, im_kw=im_kw)

    @validate_params(
        {
            "channel": [Interval(Integral, 0, None, closed="left"), StrOptions({"mean"}), None],
            "n_cols": [Interval(Integral, 1, None, closed="left"), None],
            "im_kw": [dict, None],
        },
        prefer_skip_nested_validation=True,
    )
    def plot(self, ax=None, *, channel=None, n_cols=None, cmap="gray", im_kw=None):
        """Draw the filters.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            One axes, in whose place the grid is drawn, or one for each filter; None makes a new figure.
        channel : int, "mean" or None, default=None
            The input channel to draw, or the mean of all. None: of one channel itself, of three their colour, else
            the mean. The title says which.
        n_cols : int, default=None
            Columns of the grid; None makes it a square, as nearly as may be.
        cmap : str or matplotlib Colormap, default="gray"
            Colours of what is not drawn in red, green and blue.
        im_kw : dict, default=None
            Keywords of matplotlib's ``imshow``.

        Returns
        -------
        display : FilterDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If a parameter is out of its range, the array of filters has another shape, or ax is not as above.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        images, drawn = _images(np.asarray(self.filters), channel)
        largest = np.abs(images).max() or 1.0
        if images.ndim == 4:
            images = 0.5 + images / (2 * largest)
        title = drawn if self.name is None else f"{self.name}: {drawn}"
        im_kw = {"cmap": cmap, "vmin": -largest, "vmax": largest} | (im_kw or {})
        return self._plot_images(images, title, ax, n_cols, im_kw)


def _filters_of(network, layer):
    """A layer, by default the first convolution, and its filters."""
    weights = {name: network.weights_of(name) for name, _ in network.layers_}
    convolutions = [name for name, array in weights.items() if np.ndim(array) == 4]
    if not convolutions:
        raise ValueError(
            f"None of the layers {list(weights)} is a convolution: draw an array, as in FilterDisplay(net.coefs_[0])."
        )
    layer = convolutions[0] if layer is None else layer
    filters = network.weights_of(layer)
    if np.ndim(filters) != 4:
        raise ValueError(f"The layer {layer!r} has no filters: those with filters are {convolutions}.")
    return layer, filters.copy()


def _images(filters, channel):
    """One image for each filter, (n, height, width) or (n, height, width, 3), and what they show, in words."""
    if filters.ndim != 4 or not filters.size:
        raise ValueError(
            "filters must have the shape (height, width, n_inputs, n_filters), none of them 0, got an array of shape "
            f"{filters.shape}."
        )
    n_inputs = filters.shape[2]
    if channel is None and n_inputs == 3:
        return filters.transpose(3, 0, 1, 2), "three input channels as red, green and blue"
    if channel == "mean" or (channel is None and n_inputs > 1):
        return filters.mean(axis=2).transpose(2, 0, 1), f"mean over {n_inputs} input channels"
    channel = channel or 0
    if channel >= n_inputs:
        raise ValueError(f"channel must be below the number of input channels, {n_inputs}, or 'mean', got {channel}.")
    return filters[:, :, channel].transpose(2, 0, 1), f"input channel {channel} of {n_inputs}"
