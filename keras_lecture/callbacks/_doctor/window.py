"""The part of a record that follows the latest treatment, as the record of a run of its own."""

from typing import Any

from keras_lecture.diagnosis._record.record import Record


def since(record: Record, base: dict[str, Any] | None, step: int, epochs: int) -> Record:
    """The record as if the run had begun at `step`, after `epochs` epochs, with the probe `base` as its start.

    Damage that a treatment has undone must not be judged a second time.
    """
    losses = record["losses"]
    pairs = [pair for pair in zip(losses["steps"], losses["values"], strict=True) if pair[0] > step]
    probes = _later(record["probes"], step)
    # The rehearsal was that of the model before the treatment.
    start = {key: value for key, value in record["start"].items() if key != "rehearsal"}
    if base is not None:
        probes = [{**base, "step": 0}, *probes]
        start |= {key: value for key, value in (base["train"] or {}).items() if value is not None}
    return {
        **record,
        "start": start,
        "fit": {**record["fit"], "initial_epoch": epochs},
        "probes": probes,
        "losses": {"steps": [pair[0] - step for pair in pairs], "values": [pair[1] for pair in pairs]},
        "epochs": _later(record["epochs"], step),
        "steps": _later(record["steps"], step),
    }


def _later(entries, step):
    return [{**entry, "step": entry["step"] - step} for entry in entries if entry["step"] > step]
