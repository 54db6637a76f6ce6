"""An image classifier for the bundled digits: our initializer, loss and optimizer under plain `compile` and `fit`."""

import os
import time

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from keras_lecture import initializers, losses, optimizers, regularizers

EPOCHS, BATCH_SIZE = 20, 32


def data():
    """1,797 images of 8 × 8 pixels in [0, 1]; a stratified fifth is held out for the test."""
    digits = load_digits()
    images = (digits.images[..., None] / 16.0).astype("float32")
    return train_test_split(images, digits.target, test_size=0.2, stratify=digits.target, random_state=0)


def classifier():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu", kernel_initializer=initializers.Kaiming()),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu", kernel_initializer=initializers.Kaiming()),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu", kernel_initializer=initializers.Kaiming()),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.4),
            keras.layers.Dense(10, kernel_initializer=initializers.Xavier()),
        ]
    )
    regularizers.penalize(model, regularizers.L2(1e-4), where="kernels")
    return model


def main():
    keras.utils.set_random_seed(0)
    x_train, x_test, y_train, y_test = data()
    model = classifier()
    schedule = optimizers.schedules.WarmRestarts(0.05, period=EPOCHS).per_epoch(steps=-(-len(x_train) // BATCH_SIZE))
    model.compile(
        optimizers.Nesterov(schedule, momentum=0.9),
        loss=losses.SoftmaxCrossEntropy(),
        metrics=["accuracy"],
    )
    start = time.perf_counter()
    model.fit(x_train, y_train, batch_size=BATCH_SIZE, epochs=EPOCHS, validation_data=(x_test, y_test), verbose=2)
    seconds = time.perf_counter() - start

    print(f"\n{'':12}{'loss':>8}{'accuracy':>10}")
    for name, x, y in (("training", x_train, y_train), ("test", x_test, y_test)):
        loss, accuracy = model.evaluate(x, y, batch_size=256, verbose=0)
        print(f"{name:12}{loss:8.4f}{accuracy:10.2%}")
    print(f"{model.count_params():,} parameters, {EPOCHS} epochs in {seconds:.1f} s on {keras.backend.backend()}")


if __name__ == "__main__":
    main()
