"""How a training went."""

from skdeep._sklearn import check_matplotlib_support, style_kwargs, validate_params
from skdeep.inspection._models import last_step

# Marks the axes that a display has put over another one for the scores.
_SCORES = "validation scores"


class LossCurveDisplay:
    """Loss of each epoch of a training and, if there was validation, loss and score on the validation data.

    The training loss is solid; the validation loss is dashed; the scores are dotted and have the scale at the right.
    Displays of several networks can share axes. Use `from_estimator` to create one from a network. All parameters are
    stored as attributes.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Training loss.
    validation_loss_curve : array-like of shape (n_epochs,), default=None
        Loss on the validation data.
    validation_scores : array-like of shape (n_epochs,), default=None
        Score on the validation data.
    name : str, default=None
        Of the network, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Of the losses.
    score_ax_ : matplotlib Axes or None
        Of the scores, over the other one; None where there are no scores.
    lines_ : list of matplotlib Line2D
        Training loss, and as far as they exist validation loss and score.
    figure_ : matplotlib Figure

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Score as a function of the number of samples.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skdeep import ConvNetClassifier
    >>> from skdeep.inspection import LossCurveDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> net = ConvNetClassifier((8, 16), kernel_size=3, max_iter=2, early_stopping=True, random_state=0)
    >>> display = LossCurveDisplay.from_estimator(net.fit(X / 16, y), name="LeNet")
    >>> [line.get_label() for line in display.lines_]
    ['LeNet: training loss', 'LeNet: validation loss', 'LeNet: validation score']
    >>> plt.close(display.figure_)
    """

    def __init__(self, loss_curve, *, validation_loss_curve=None, validation_scores=None, name=None):
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.validation_scores = validation_scores
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, name=None, curve_kwargs=None, ax=None):
        """Draw the curves of a fitted network.

        Parameters
        ----------
        estimator : object with `loss_curve_`, or a Pipeline that ends in one
            Fitted. scikit-learn's own perceptrons will do, too.
        name : str, default=None
            Of the network, for the legend; None is the name of its class.
        curve_kwargs : dict, default=None
            As of `plot`.
        ax : matplotlib Axes, default=None
            As of `plot`.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has no curve of its loss.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        network = last_step(estimator)
        if not hasattr(network, "loss_curve_"):
            raise TypeError(f"estimator must be a network, with the attribute loss_curve_, got {estimator!r}.")
        display = cls(
            network.loss_curve_,
            validation_loss_curve=getattr(network, "validation_loss_curve_", None),
            validation_scores=getattr(network, "validation_scores_", None),
            name=type(network).__name__ if name is None else name,
        )
        return display.plot(ax, curve_kwargs=curve_kwargs)

    @validate_params({"name": [str, None], "curve_kwargs": [dict, None]}, prefer_skip_nested_validation=True)
    def plot(self, ax=None, *, name=None, curve_kwargs=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into, those of another display for instance; None makes a new figure.
        name : str, default=None
            Of the network, for the legend; None is the attribute `name`.
        curve_kwargs : dict, default=None
            Keywords of matplotlib's ``plot``, for all curves.

        Returns
        -------
        display : LossCurveDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If a parameter is not as above.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots()
            ax.xaxis.get_major_locator().set_params(integer=True)
        name = self.name if name is None else name
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, []
        self.score_ax_ = None if self.validation_scores is None else _score_axes(ax)
        for curve, what, style, axes in (
            (self.loss_curve, "training loss", "-", ax),
            (self.validation_loss_curve, "validation loss", "--", ax),
            (self.validation_scores, "validation score", ":", self.score_ax_),
        ):
            if curve is not None:
                own = {"linestyle": style, "label": what if name is None else f"{name}: {what}"}
                # One colour for each network, which is that of its first curve.
                own |= {"color": self.lines_[0].get_color()} if self.lines_ else {}
                kwargs = style_kwargs(own, curve_kwargs or {})
                self.lines_ += axes.plot(range(1, len(curve) + 1), curve, **kwargs)
        ax.set(xlabel="Epoch", ylabel="Loss")
        drawn_on = [axes for axes in (ax, _scores_over(ax)) if axes is not None]
        handles = [handle for axes in drawn_on for handle in axes.get_legend_handles_labels()[0]]
        ax.legend(handles=handles, loc="center right")
        return self


def _scores_over(ax):
    """The axes for scores that a display has put over ax, if one has."""
    return next(
        (
            other
            for other in ax.figure.axes
            if other.get_gid() == _SCORES and other.get_position(True).bounds == ax.get_position(True).bounds
        ),
        None,
    )


def _score_axes(ax):
    """Axes over ax with the same epochs and a scale of their own, one pair for all displays."""
    over = _scores_over(ax)
    if over is None:
        over = ax.twinx()
        over.set(gid=_SCORES, ylabel="Validation score")
    return over
