"""Data sets that come with scikit-learn; `load` imports this file on demand."""

from sklearn import datasets

NAMES = {
    "breast_cancer": datasets.load_breast_cancer,
    "diabetes": datasets.load_diabetes,
    "digits": datasets.load_digits,
    "wine": datasets.load_wine,
}


def read(name: str):
    """Examples, targets, class names (`None` for regression) and feature names."""
    found = NAMES[name]()
    if name == "digits":
        return found.images[..., None] / 16, found.target, tuple("0123456789"), None
    classes = tuple(map(str, found.target_names)) if "target_names" in found else None
    return found.data, found.target, classes, tuple(map(str, found.feature_names))
