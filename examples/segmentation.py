"""
Segmentation with a fully convolutional network
===============================================

``models.fcn`` classifies every pixel of an image of any size: as part of a bright disc, of a dark square, or of
neither. It is trained on small generated images and tested on larger ones.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np

from keras_lecture import layers, losses, models, optimizers

keras.utils.set_random_seed(0)
random = np.random.default_rng(0)


def scenes(count, side):
    """Noisy images of a bright disc and a dark square, and the class of each pixel."""
    rows, columns = np.mgrid[:side, :side]
    pictures, classes = [], []
    for _ in range(count):
        kind = np.zeros((side, side), int)
        for shape in (1, 2):
            radius = random.integers(9, 18)
            row, column = random.integers(radius, side - radius, size=2)
            down, right = abs(rows - row), abs(columns - column)
            kind[(np.hypot(down, right) if shape == 1 else np.maximum(down, right)) <= radius] = shape
        pictures.append(np.choose(kind, (0, 1, -1)) * random.uniform(0.5, 1.0) + random.normal(0, 0.3, kind.shape))
        classes.append(kind)
    return np.array(pictures, "float32")[..., None], np.array(classes)


# %%
# A sixteenth of the published width is enough for two shapes. Batch normalization makes pretraining unnecessary.

x_train, y_train = scenes(128, 64)
x_test, y_test = scenes(16, 96)
model = models.fcn((None, None, 1), 3, width=1 / 16, dropout=0.0, normalization="batch")
model.compile(optimizers.Adam(0.005), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=8, epochs=8, verbose=2)
layers.recalibrate(model, x_train, verbose=0)

# %%
found = np.argmax(model.predict(x_test, batch_size=16, verbose=0), axis=-1)
figure, axes = plt.subplots(3, 6, figsize=(9, 4.8), layout="constrained")
for column, images in enumerate(zip(x_test[:6, ..., 0], y_test[:6], found[:6], strict=True)):
    for axis, image in zip(axes[:, column], images, strict=True):
        axis.imshow(image, cmap="gray" if image.dtype.kind == "f" else "viridis")
        axis.axis("off")
plt.show()

# %%
overlap = [np.sum((found == k) & (y_test == k)) / np.sum((found == k) | (y_test == k)) for k in range(3)]
print(
    "intersection over union:",
    ", ".join(f"{n} {v:.2f}" for n, v in zip(("rest", "disc", "square"), overlap, strict=True)),
)
