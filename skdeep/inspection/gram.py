"""The Gram matrix of a kernel, and its spectrum."""

import numpy as np

from skdeep._sklearn import check_matplotlib_support, style_kwargs, validate_params
from skdeep.inspection._models import last_step, reaching_last_step
from skdeep.kernels.algebra import Kernel


class GramDisplay:
    """The Gram matrix of a kernel as an image, and its eigenvalues on a logarithmic scale.

    The eigenvalues come largest first; the dashed line is what the rounding of the matrix may add, below which they say
    nothing. Where some are clearly negative, which proves that the function is no kernel, their absolute values are
    drawn as crosses. Use `from_estimator` or `from_kernel` to create one. All parameters are stored as attributes.

    Parameters
    ----------
    gram : array-like of shape (n_samples, n_samples)
        Symmetric.
    name : str, default=None
        What the title begins with; `from_kernel` gives the kernel.

    Attributes
    ----------
    bounding_ax_ : matplotlib Axes or None
        The axes that both parts lie in and that bears the title; None if `plot` was given two axes.
    axes_ : ndarray of matplotlib Axes, shape (2,)
        Of the matrix and of the spectrum.
    im_ : matplotlib AxesImage
        The matrix.
    lines_ : list of matplotlib Line2D
        Positive eigenvalues, the rounding error and, where there are any, negative eigenvalues.
    eigenvalues_ : ndarray of shape (n_samples,)
        Largest first.
    figure_ : matplotlib Figure

    See Also
    --------
    skdeep.MercerFeatureMap : The eigenfunctions to the eigenvalues.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from skdeep.inspection import GramDisplay
    >>> from skdeep.kernels import RBF
    >>> X, y = load_iris(return_X_y=True)
    >>> display = GramDisplay.from_kernel(RBF(), X, y=y)
    >>> display.gram.shape, display.bounding_ax_.get_title()
    ((150, 150), 'RBF(): 150 samples')
    >>> plt.close(display.figure_)
    """

    def __init__(self, gram, *, name=None):
        self.gram = gram
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, X, *, y=None, cmap="viridis", im_kw=None, line_kw=None, ax=None):
        """Draw the Gram matrix of the kernel that a fitted estimator uses.

        Parameters
        ----------
        estimator : object with a kernel object as `kernel_`, or a Pipeline that ends in one
            Fitted; the other steps of a Pipeline transform X.
        X : array-like of shape (n_samples, n_features)
            Samples, as many as are to be seen.
        y : array-like of shape (n_samples,), default=None
            As of `from_kernel`.
        cmap : str or matplotlib Colormap, default="viridis"
            As of `plot`.
        im_kw : dict, default=None
            As of `plot`.
        line_kw : dict, default=None
            As of `plot`.
        ax : matplotlib Axes or array-like of Axes, default=None
            As of `plot`.

        Returns
        -------
        display : GramDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has no kernel object.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        kernel = getattr(last_step(estimator), "kernel_", None)
        if not isinstance(kernel, Kernel):
            raise TypeError(f"estimator must have a kernel object of skdeep.kernels as kernel_, got {estimator!r}.")
        X = reaching_last_step(estimator, X)
        return cls.from_kernel(kernel, X, y=y, cmap=cmap, im_kw=im_kw, line_kw=line_kw, ax=ax)

    @classmethod
    def from_kernel(cls, kernel, X, *, y=None, cmap="viridis", im_kw=None, line_kw=None, ax=None):
        """Draw the Gram matrix of a kernel.

        Parameters
        ----------
        kernel : Kernel
        X : array-like of shape (n_samples, n_features)
            Samples, as many as are to be seen.
        y : array-like of shape (n_samples,), default=None
            Labels or targets by which samples are ordered, so that classes are blocks; None leaves the order.
        cmap : str or matplotlib Colormap, default="viridis"
            As of `plot`.
        im_kw : dict, default=None
            As of `plot`.
        line_kw : dict, default=None
            As of `plot`.
        ax : matplotlib Axes or array-like of Axes, default=None
            As of `plot`.

        Returns
        -------
        display : GramDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_kernel")
        K = kernel(X)
        if y is not None:
            y = np.asarray(y)
            if y.shape != K.shape[:1]:
                raise ValueError(f"y must have the shape ({len(K)},), one value for each sample, got {y.shape}.")
            order = np.argsort(y, kind="stable")
            K = K[np.ix_(order, order)]
        return cls(K, name=repr(kernel)).plot(ax, cmap=cmap, im_kw=im_kw, line_kw=line_kw)

    @validate_params({"im_kw": [dict, None], "line_kw": [dict, None]}, prefer_skip_nested_validation=True)
    def plot(self, ax=None, *, cmap="viridis", im_kw=None, line_kw=None):
        """Draw matrix and spectrum.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            One axes, in whose place both are drawn side by side, or two axes; None makes a new figure.
        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the matrix.
        im_kw : dict, default=None
            Keywords of matplotlib's ``imshow``.
        line_kw : dict, default=None
            Keywords of matplotlib's ``plot``, for the positive eigenvalues.

        Returns
        -------
        display : GramDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If a parameter is not as above, or the matrix is not symmetric.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        gram = np.asarray(self.gram)
        if gram.ndim != 2 or not gram.size or gram.shape[0] != gram.shape[1] or not np.allclose(gram, gram.T):
            raise ValueError(f"gram must be a symmetric matrix, got an array of shape {gram.shape}.")
        drawn = f"{len(gram)} samples"
        self._set_axes(ax, drawn if self.name is None else f"{self.name}: {drawn}")
        self.im_ = self.axes_[0].imshow(gram, **({"cmap": cmap} | (im_kw or {})))
        self.axes_[0].set(xticks=[], yticks=[])
        beside = self.axes_[0].inset_axes((-0.1, 0, 0.05, 1))
        self.figure_.colorbar(self.im_, cax=beside, ticklocation="left")
        self._plot_spectrum(gram, line_kw or {})
        return self

    def _set_axes(self, ax, title):
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(figsize=(9, 4))
        if isinstance(ax, plt.Axes):
            self.bounding_ax_ = ax
            self.axes_ = np.array([ax.inset_axes((0.1, 0, 0.4, 1)), ax.inset_axes((0.62, 0, 0.38, 1))])
            self.axes_[1].set_box_aspect(1)
            ax.set_title(title)
            ax.set_axis_off()
        else:
            self.bounding_ax_, self.axes_ = None, np.asarray(ax, dtype=object).ravel()
            if len(self.axes_) != 2:
                raise ValueError(f"ax must be one axes, or one for the matrix and one for the spectrum, got {ax!r}.")
        self.figure_ = self.axes_[0].figure

    def _plot_spectrum(self, gram, line_kw):
        self.eigenvalues_ = np.linalg.eigvalsh(gram)[::-1]
        places, sizes = np.arange(1, len(gram) + 1), np.abs(self.eigenvalues_)
        # Elements are rounded by a few eps sqrt(k(x, x) k(y, y)), a matrix of the size of the trace at most.
        eps, largest = np.finfo(self.eigenvalues_.dtype).eps, max(np.abs(gram.diagonal()).sum(), sizes.max())
        rounding = 10 * eps * (largest or 1.0)
        positive, negative = self.eigenvalues_ > 0, self.eigenvalues_ < -rounding
        axes = self.axes_[1]
        level = axes.axhline(rounding, color="gray", linestyle="--", linewidth=1)
        axes.set(xlabel="Number of the eigenvalue", yscale="log")
        line_kw = style_kwargs({"marker": ".", "linestyle": "none"}, line_kw)
        self.lines_ = [*axes.plot(places[positive], sizes[positive], **line_kw), level]
        if negative.any():
            self.lines_ += axes.plot(places[negative], sizes[negative], "x", color="tab:red", label="negative")
            axes.legend()
        axes.set_ylim(bottom=rounding / 100)
