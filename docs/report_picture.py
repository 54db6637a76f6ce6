"""Draws docs/pictures/report.png: the report of twelve layers of sigmoids, through which the gradient vanishes.

KERAS_BACKEND=torch python docs/report_picture.py        (needs Chromium)
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import keras
from PIL import Image
from sklearn.datasets import load_digits

from keras_lecture.callbacks import Doctor

PICTURE = Path(__file__).parent / "pictures" / "report.png"


def main():
    keras.utils.set_random_seed(0)
    x, y = load_digits(return_X_y=True)
    hidden = [keras.layers.Dense(32, "sigmoid") for _ in range(12)]
    model = keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    doctor = Doctor()
    x = x.astype("float32") / 16
    validation = x[1347:], y[1347:]
    model.fit(x[:1347], y[:1347], batch_size=32, epochs=10, validation_data=validation, callbacks=[doctor], verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        doctor.report(page)
        browser = shutil.which("chromium") or shutil.which("chromium-browser") or "chromium"
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1200,1850"]
        subprocess.run([browser, *options, f"--screenshot={PICTURE}", page.as_uri()], check=True)
    # 64 colors: a third of the size.
    Image.open(PICTURE).convert("RGB").quantize(64).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
