"""How a run with `ExactResume` ends by a signal, a full disk, a folder that cannot be written, or a second process."""

import errno
import os
import resource
import signal
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest

from keras_lecture.callbacks import ExactResume

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 3)).astype("float32"), RNG.normal(size=(24, 1)).astype("float32")


class At(keras.callbacks.Callback):
    """Acts once, before a batch of an epoch."""

    def __init__(self, epoch, batch, act):
        super().__init__()
        self.moment, self.act = (epoch, batch), act

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.moment:
            self.act()


def fit(folder, *more, every="epoch", epochs=3, **arguments):
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    arguments = {"batch_size": 4} | arguments
    model.fit(X, Y, epochs=epochs, verbose=0, callbacks=[ExactResume(folder, every=every), *more], **arguments)
    return model.get_weights()


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("batch", [3, 5])
@pytest.mark.parametrize("every", ["epoch", 4])
def test_sigterm_saves_at_the_end_of_the_batch_and_leaves(tmp_path, capsys, every, batch):
    """The sixth batch is the last of its epoch. The resumed run ends bit for bit like an uninterrupted one."""
    with pytest.raises(SystemExit) as ended:
        fit(tmp_path / "ü b", At(1, batch, terminate), every=every)
    assert ended.value.code == 143
    where = "after epoch 1 and 4 of 6 batches" if batch == 3 else "after epoch 2"
    assert f"SIGTERM received. The run is saved in {tmp_path / 'ü b'} {where}." in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    began = []
    resumed = fit(tmp_path / "ü b", At(1, 4, lambda: began.append(4)), At(1, 3, lambda: began.append(3)), every=every)
    assert began == ([4] if batch == 3 else [])
    np.testing.assert_equal(resumed, fit(tmp_path / "whole", every=every))


def test_the_handler_is_gone_after_every_end_of_fit(tmp_path):
    def fail():
        raise KeyboardInterrupt

    seen = []
    fit(tmp_path / "a", At(0, 0, lambda: seen.append(signal.getsignal(signal.SIGTERM))), epochs=1)
    assert seen[0] is not signal.SIG_DFL and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "b", At(0, 1, fail))
    # A handler that the traceback kept alive would hand the signal on to the default, which ends the process.
    handler = signal.getsignal(signal.SIGTERM)
    assert handler is signal.SIG_DFL or not handler.__self__.is_asked


def test_the_handler_of_an_interrupted_fit_does_not_stand_in_for_that_of_the_next(tmp_path):
    """A notebook keeps the traceback of Ctrl-C: SIGTERM then ended the next `fit` at once, without a save."""

    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as interrupted:
        fit(tmp_path / "a", At(0, 1, fail))
    taken = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        fit(tmp_path / "b", At(0, 1, lambda: signal.getsignal(signal.SIGTERM) is not taken and terminate()))
    assert ended.value.code == 143
    assert interrupted.value is not None


def test_a_handler_of_the_user_stays_in_charge(tmp_path):
    received = []
    previous = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        fit(tmp_path, At(0, 1, terminate), epochs=1)
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert received == [signal.SIGTERM]


def test_outside_of_the_main_thread_no_handler_is_set(tmp_path):
    """Python allows it in the main thread only: `fit` in another one would fail."""
    done = []
    thread = threading.Thread(target=lambda: done.append(fit(tmp_path, epochs=1)))
    thread.start()
    thread.join()
    assert len(done) == 1


def test_a_full_disk_is_an_error_that_names_the_latest_complete_file(tmp_path):
    """A limit on the size of files has the effect of a full disk; the next save would have been the third."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))

    previous = signal.getsignal(signal.SIGXFSZ)
    try:
        with pytest.raises(
            OSError, match="a file cannot be written: .*; the latest complete one is .*run-00000002.npz"
        ):
            fit(tmp_path, At(2, 0, fill))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)
    assert sorted(os.listdir(tmp_path)) == ["run-00000001.npz", "run-00000002.npz", "run.lock"]
    np.testing.assert_equal(fit(tmp_path), fit(tmp_path.with_name("whole")))


def test_a_folder_that_cannot_be_made_is_an_error_before_the_first_batch(tmp_path):
    (tmp_path / "file").write_text("")
    seen = []
    with pytest.raises(OSError, match="the folder cannot be written to: Not a directory. Choose another `path`"):
        fit(tmp_path / "file" / "run", At(0, 0, lambda: seen.append(1)))
    assert seen == []


def test_a_second_process_with_the_same_folder_is_refused(tmp_path):
    """Both wrote the same names, and one published what the other was still writing."""
    folder = tmp_path / "run"
    folder.mkdir()
    script = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script, folder / "run.lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        with pytest.raises(OSError, match="another process is training with this folder") as refused:
            fit(folder)
        other.stdin.close()
    assert refused.value.errno == errno.EAGAIN and os.listdir(folder) == ["run.lock"]
    fit(folder, epochs=1)


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="the folder cannot be written to"):
        fit(folder)
    assert not (tmp_path / "elsewhere").exists()
