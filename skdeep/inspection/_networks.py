"""From what a user has fitted to the network in it."""

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def network_of(estimator):
    """The fitted network: the estimator itself or, of a Pipeline, the last step."""
    check_is_fitted(estimator)
    return network_of(estimator[-1]) if isinstance(estimator, Pipeline) else estimator


def convnet_of(estimator):
    """The fitted convolutional network.

    Raises
    ------
    TypeError
        If the network is of another kind.
    """
    network = network_of(estimator)
    if not hasattr(network, "feature_maps"):
        raise TypeError(
            f"estimator must be a ConvNetClassifier or a ConvNetRegressor, or a Pipeline that ends in one, got "
            f"{estimator!r}."
        )
    return network


def reaching_network(estimator, X):
    """X as the network gets it: behind the other steps of a Pipeline."""
    if not isinstance(estimator, Pipeline):
        return X
    return reaching_network(estimator[-1], estimator[:-1].transform(X) if len(estimator) > 1 else X)
