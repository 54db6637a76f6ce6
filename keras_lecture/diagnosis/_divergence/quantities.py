"""The quantities of a run: numbers in the model's own precision and in float64, with their rounding."""

import dataclasses

import numpy as np

# Entries of a tensor that are kept; rounding and scale are those of the whole tensor.
ENTRIES = 2**16
# A prime: its multiples modulo another size visit rows and channels evenly.
_STRIDE = 2_654_435_761


@dataclasses.dataclass
class Quantity:
    """One tensor of a run: where it belongs, its entries in both precisions, and how far these are apart.

    `kind` is `"input"`, `"output"`, `"input gradient"`, `"output gradient"`, `"gradient"`, `"loss"`, `"state"`,
    `"update"` or `"slot"`. `rounding` is the largest |own − float64|, `typical` its median over the entries.
    """

    stage: str
    mode: str
    kind: str
    position: int
    index: int
    layer: str
    kind_of_layer: str
    within: str
    name: str
    shape: tuple[int, ...] = ()
    dtype: str = ""
    rounding: float | None = None
    typical: float | None = None
    middle: float = 0.0
    scale: float = 0.0
    random: bool = False
    own: np.ndarray | None = None
    double: np.ndarray | None = None

    def fill(self, own: np.ndarray, double: np.ndarray | None) -> None:
        """Sets the entries and the numbers about the whole tensor."""
        self.shape = tuple(own.shape)
        if own.dtype.kind == "f" and double is not None and double.shape == own.shape:
            finite = np.isfinite(own) & np.isfinite(double)
            apart = np.abs(own - double, where=finite, out=np.zeros(own.shape))[finite]
            self.rounding = float(apart.max(initial=0.0))
            self.typical = float(np.median(apart)) if apart.size else 0.0
        else:
            double = None
        exact = own if double is None else double
        sizes = np.abs(exact[np.isfinite(exact)].astype("float64"))
        self.scale = float(sizes.max(initial=0.0))
        self.middle = float(np.median(sizes)) if sizes.size else 0.0
        self.own = sampled(own)
        self.double = None if double is None else sampled(double)


def sampled(array: np.ndarray) -> np.ndarray:
    """The entries in one row, or `ENTRIES` of them chosen by the size of the array alone."""
    flat = array.reshape(-1)
    if flat.size <= ENTRIES:
        return flat
    return flat[np.arange(ENTRIES, dtype="int64") * _STRIDE % flat.size]
