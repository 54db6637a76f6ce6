"""
AlexNet's augmentation: random crops, reflections and PCA color
===============================================================

The data are patches of the two color photographs that come with scikit-learn, and the task is to tell which photograph
a patch was cut from. In training, a patch is cropped at random, reflected, and shifted along the principal components
of its colors. At test time, the predictions for ten crops are averaged.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images

from keras_lecture import data, initializers, layers, losses, optimizers

keras.utils.set_random_seed(0)
SIDE, WINDOW = 40, 32
photographs = load_sample_images().images  # 427 × 640 pixels, 0 … 255
corners = [(top, left) for top in range(0, 388, SIDE) for left in range(0, 601, SIDE)]
patches = np.array([p[top : top + SIDE, left : left + SIDE] for p in photographs for top, left in corners], "float32")
labels = np.repeat([0, 1], len(corners))
(x_train, y_train), (x_test, y_test) = data.split(patches, labels, (0.6, 0.4), seed=0)

# %%
# Both layers are random in training only. At inference the crop is the center crop and the colors are unchanged.

color = layers.PCAColor(seed=0)
color.adapt(x_train)
crop = layers.RandomCropFlip(WINDOW, WINDOW, seed=0)
drawn = np.array(color(crop(np.repeat(x_train[:3], 5, axis=0), training=True), training=True))
figure, axes = plt.subplots(3, 6, figsize=(9, 4.8), layout="constrained")
for row, patch, variants in zip(axes, x_train, drawn.reshape(3, 5, WINDOW, WINDOW, 3), strict=False):
    for axis, image in zip(row, [patch, *variants], strict=True):
        axis.imshow(np.clip(image / 255, 0, 1))
        axis.axis("off")
plt.show()

# %%
# ``ten_crop_average`` turns the trained classifier into a model that takes whole patches and averages the probabilities
# of ten crops.

conv = {"strides": 2, "activation": "relu", "kernel_initializer": initializers.Kaiming()}
inner = [keras.layers.Conv2D(16, 5, **conv), keras.layers.Conv2D(32, 3, **conv), keras.layers.GlobalAveragePooling2D()]
center = layers.ZeroCenter(unit_variance=True)
center.adapt(x_train)
classifier = keras.Sequential([keras.Input((WINDOW, WINDOW, 3)), center, *inner, keras.layers.Dense(2)])
model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), color, crop, classifier])
model.compile(optimizers.Adam(0.003), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=32, epochs=12, verbose=0)

ten = layers.ten_crop_average(classifier, from_logits=True)
for name, predictor in (("the center", model), ("ten crops", ten)):
    right = np.argmax(predictor.predict(x_test, batch_size=len(x_test), verbose=0), axis=-1) == y_test
    print(f"test accuracy on {name}: {right.mean():.1%}")
