"""Generated cases: random arguments, shapes, dtypes, layouts and masks of the public classes against independent peers.

KERAS_BACKEND=torch OMP_NUM_THREADS=1 python tests/fuzz/run.py [--cases N] [--seed S] [family …]

A case is drawn from one number, which is printed if the case fails; `--seed THAT --cases 1 FAMILY` repeats it.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import keras  # noqa: E402
from fuzz import arguments, layers, losses, rules, scalars  # noqa: E402

# Family → how many of a hundred cases.
SHARES = {losses: 30, scalars: 25, layers: 20, rules: 5, arguments: 20}
FAMILIES = {family.__name__.rpartition(".")[2]: family for family in SHARES}


def failure(family, seed):
    """The sentence that says how a case fails; `None` if it does not."""
    keras.utils.set_random_seed(seed % 2**31)
    description, check = family.case(np.random.default_rng(seed))
    try:
        check()
    except Exception as error:
        return f"{type(error).__name__} in {description}: {str(error).strip()[:600]}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("families", nargs="*", choices=[*FAMILIES, []])
    parser.add_argument("--cases", type=int, default=3400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    names = options.families or list(FAMILIES)
    total = sum(SHARES[FAMILIES[name]] for name in names)
    failed = 0
    for name in names:
        family, start = FAMILIES[name], time.perf_counter()
        count = max(1, round(options.cases * SHARES[family] / total))
        for seed in range(options.seed, options.seed + count):
            message = failure(family, seed)
            if message:
                failed += 1
                print(f"{name} --seed {seed}: {message}\n", flush=True)
        print(f"{keras.backend.backend()}, {name}: {count} cases, {time.perf_counter() - start:.0f} s", flush=True)
    print(f"{failed} cases fail")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
