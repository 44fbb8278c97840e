"""From what a user has fitted to the model in it."""

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def last_step(estimator):
    """The fitted model: the estimator itself or, of a Pipeline, the last step."""
    check_is_fitted(estimator)
    return last_step(estimator[-1]) if isinstance(estimator, Pipeline) else estimator


def reaching_last_step(estimator, X):
    """X as the model gets it: behind the other steps of a Pipeline."""
    if not isinstance(estimator, Pipeline):
        return X
    return reaching_last_step(estimator[-1], estimator[:-1].transform(X) if len(estimator) > 1 else X)


def convnet_of(estimator):
    """The fitted convolutional network.

    Raises
    ------
    TypeError
        If the model is another one.
    """
    network = last_step(estimator)
    if not hasattr(network, "feature_maps"):
        raise TypeError(
            f"estimator must be a ConvNetClassifier or a ConvNetRegressor, or a Pipeline that ends in one, got "
            f"{estimator!r}."
        )
    return network
