"""The data that come with scikit-learn. Only `load` imports this file, when it is asked for one of them."""

from sklearn import datasets

NAMES = {
    "breast_cancer": datasets.load_breast_cancer,
    "diabetes": datasets.load_diabetes,
    "digits": datasets.load_digits,
    "wine": datasets.load_wine,
}


def read(name: str):
    """Examples, targets, the names of the classes (none in regression) and of the features."""
    found = NAMES[name]()
    if name == "digits":
        return found.images[..., None] / 16, found.target, tuple("0123456789"), None
    classes = tuple(map(str, found.target_names)) if "target_names" in found else None
    return found.data, found.target, classes, tuple(map(str, found.feature_names))
