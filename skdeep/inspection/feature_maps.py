"""The maps that a layer makes of an image."""

from numbers import Integral

import numpy as np

from skdeep._sklearn import Interval, check_matplotlib_support, validate_params
from skdeep.inspection._images import ImagesDisplay
from skdeep.inspection._models import convnet_of, reaching_last_step


class FeatureMapDisplay(ImagesDisplay):
    """The maps that a layer of a convolutional network makes of one image, as a grid of small images.

    All have one scale: black is the least number of all maps, white the largest. Use `from_estimator` to create one
    from a network. All parameters are stored as attributes.

    Parameters
    ----------
    maps : array-like of shape (height, width, channels)
        Activations.
    name : str, default=None
        What the title begins with; `from_estimator` gives the layer.

    Attributes
    ----------
    bounding_ax_ : matplotlib Axes or None
        The axes that the grid lies in and that bears the title; None if `plot` was given an array of axes.
    axes_ : ndarray of matplotlib Axes
        In rows and columns, None where a row is not filled; or as given to `plot`.
    ims_ : list of matplotlib AxesImage
        One for each channel.
    figure_ : matplotlib Figure

    See Also
    --------
    FilterDisplay : The weights of a convolution.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skdeep import ConvNetClassifier
    >>> from skdeep.inspection import FeatureMapDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> net = ConvNetClassifier((8, 16), kernel_size=3, max_iter=2, random_state=0).fit(X / 16, y)
    >>> display = FeatureMapDisplay.from_estimator(net, X[:1] / 16, layer="pool1")
    >>> display.maps.shape, len(display.ims_)
    ((4, 4, 8), 8)
    >>> plt.close(display.figure_)
    """

    def __init__(self, maps, *, name=None):
        self.maps = maps
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, X, *, layer=0, n_cols=None, cmap="gray", im_kw=None, ax=None):
        """Draw the maps that a fitted network makes of an image.

        Parameters
        ----------
        estimator : ConvNetClassifier, ConvNetRegressor or a Pipeline that ends in one
            Fitted; the other steps of a Pipeline transform X.
        X : array-like of shape (1, n_features) or of one image
            In any form that `predict` takes, as ``X[i : i + 1]``.
        layer : int or str, default=0
            Name or place in `layers_`; -1 is the last hidden layer.
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
        display : FeatureMapDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is no convolutional network.
        ValueError
            If X is not one image, or the layer does not exist or has no maps; and what `plot` raises.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        network = convnet_of(estimator)
        if np.shape(X)[:1] != (1,):
            raise ValueError(f"X must be one image, as X[i : i + 1], got an array of shape {np.shape(X)}.")
        (maps,) = network.feature_maps(reaching_last_step(estimator, X), layer)
        if network.data_format == "NCHW":
            maps = maps.transpose(1, 2, 0)
        return cls(maps, name=f"layer {layer}").plot(ax, n_cols=n_cols, cmap=cmap, im_kw=im_kw)

    @validate_params(
        {"n_cols": [Interval(Integral, 1, None, closed="left"), None], "im_kw": [dict, None]},
        prefer_skip_nested_validation=True,
    )
    def plot(self, ax=None, *, n_cols=None, cmap="gray", im_kw=None):
        """Draw the maps.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            One axes, in whose place the grid is drawn, or one for each map; None makes a new figure.
        n_cols : int, default=None
            Columns of the grid; None makes it a square, as nearly as may be.
        cmap : str or matplotlib Colormap, default="gray"
            Colours.
        im_kw : dict, default=None
            Keywords of matplotlib's ``imshow``. ``{"vmin": None, "vmax": None}`` gives each map a scale of its own.

        Returns
        -------
        display : FeatureMapDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If a parameter is out of its range, the array of maps has another shape, or ax is not as above.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        maps = np.asarray(self.maps)
        if maps.ndim != 3 or not maps.size:
            raise ValueError(
                "maps must have the shape (height, width, channels), none of them 0, got an array of shape "
                f"{maps.shape}."
            )
        height, width, channels = maps.shape
        drawn = f"{channels} maps of {height} x {width}"
        title = drawn if self.name is None else f"{self.name}: {drawn}"
        im_kw = {"cmap": cmap, "vmin": maps.min(), "vmax": maps.max()} | (im_kw or {})
        return self._plot_images(maps.transpose(2, 0, 1), title, ax, n_cols, im_kw)
