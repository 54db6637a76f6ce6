"""Memory of a training call of each layer, and of training the small CNN, against Keras's: the peak, in MB.

KERAS_BACKEND=torch python tests/benchmarks/memory.py [case …]        (Linux; TensorFlow: XLA=1 compiles with XLA)

The process's resident memory at its highest during the call, less what it was before: what a machine must have.
"""

import ctypes
import gc
import sys
from pathlib import Path

from fit_cnn import BATCH, EVERYTHING, data, through_fit
from layers import XLA, cases, runner
from measure import environment

PEERS = ("keras", "obvious", "framework")
M_MMAP_THRESHOLD = -3


def peak(run):
    """MB above the start, the smallest of three runs: the garbage of others may fall into one."""
    run(), run()
    return min(_peak(run) for _ in range(3))


def _peak(run):
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    # Sets the record back to what is resident now.
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    result = run()
    del result
    return (_resident("VmHWM") - before) / 1024


def _resident(field):
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1])


def row(name, peaks):
    cells = [f"{peaks[peer] / peaks['ours']:.2f}" if peer in peaks else "–" for peer in PEERS]
    return f"| {name} | {peaks['ours']:.1f} | " + " | ".join(cells) + " |"


def main():
    # Tensors get pages of their own, which go back to the system when they are freed.
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**16)
    print(f"{environment()}{', XLA' if XLA else ''}\n")
    print(f"| peak of forward + backward | ours, MB | {' | '.join(PEERS)} |\n|---|---:|{'---:|' * len(PEERS)}")
    chosen = sys.argv[1:]
    for name, (shape, ours, others) in cases().items():
        if not chosen or any(word in name for word in chosen):
            contenders = {"ours": ours, **others}
            print(row(name, {who: peak(runner(layer, shape)) for who, layer in contenders.items()}), flush=True)
    if not chosen or "CNN" in chosen:
        x, y = data()
        contenders = {"ours": EVERYTHING, "keras": ()}
        print(row(f"CNN through `fit`, batch {BATCH}", {w: peak(through_fit(p, x, y)) for w, p in contenders.items()}))


if __name__ == "__main__":
    main()
