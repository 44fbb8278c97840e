"""What all feature maps have in common: the data they take, their tags, and the kernel that they stand for."""

from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skdeep._sklearn import float_dtypes


class FeatureMap(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A transformer x -> phi(x) for which phi(x) . phi(y) is a kernel, or near it."""

    def _training_data(self, X):
        return validate_data(self, X, dtype=float_dtypes(X), order="C", accept_sparse="csr")

    def _new_data(self, X, dtype=None):
        """X as fit took it; of the dtype of the training data, if that is given."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=float_dtypes(X), order="C", accept_sparse="csr", reset=False)
        return X if dtype is None else X.astype(dtype, copy=False)

    @property
    def _names(self):
        """Names of the features, or None."""
        return getattr(self, "feature_names_in_", None)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
