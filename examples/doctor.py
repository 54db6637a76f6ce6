"""
A bug in five minutes
=====================

The training accuracy is high, the validation accuracy is low. It looks like overfitting, for which the textbook has
cures; ``Doctor`` names another cause. The data are the 1,797 digits of the package, with pixels from 0 to 255 as in
image files.
"""

import keras
import numpy as np

from keras_lecture import callbacks, data, diagnosis

images, labels = data.load("digits")
pixels = 255 * images.reshape(-1, 64)
(x, y), (x_val, y_val), (x_test, y_test) = data.split(pixels, labels, (0.6, 0.2, 0.2), seed=0)

# %%
# The program
# -----------
# The lectures ask for inputs with mean 0 and variance 1 by the statistics of the training data, so the program
# standardizes them. It has a bug, which raises no error.

mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-3
x = (x - mean) / spread


def classifier(*first):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(64, "relu"), keras.layers.Dense(10, "softmax")]
    model = keras.Sequential([keras.Input((64,)), *first, *layers])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def train(model, *watch):
    options = {"epochs": 15, "validation_data": (x_val, y_val), "callbacks": list(watch), "verbose": 0}
    history = model.fit(x, y, **options).history
    print(f"accuracy: training {history['accuracy'][-1]:.1%}, validation {history['val_accuracy'][-1]:.1%}")


train(classifier())

# %%
# Training far above validation is the row "overfitting" of the tuning table: more regularization, or a smaller model.
# Before a day goes into that, a question to the doctor.
#
# The doctor
# ----------
# The same program with one more callback, which looks at data, model and training from inside:

doctor = callbacks.Doctor()
train(classifier(), doctor)

# %%
# A finding has a severity, a rule and a cause, and in parentheses the evidence with its criterion. This one names the
# cause. It holds since step 0, so the fault is in the data, not in the training. Findings of low severity, which are
# worth knowing (a few pixels at the border are black in every image), are printed with ``verbose=2``.

finding = next(finding for finding in doctor.findings if finding.severity != "low")
print(finding.rule, "since step", finding.first_step)
print(finding.cause)
print(finding.evidence)

# %%
# The evidence
# ------------
# The scale of the validation inputs is not that of the training inputs. Two numbers confirm it:

print(f"standard deviation: training {x.std():.2f}, validation {x_val.std():.2f}")

# %%
# The program standardizes ``x`` and forgets ``x_val``. The model never was as bad as its validation: it was given other
# data. Every other place that feeds the model, such as the test or the finished application, can forget it as well.
#
# The cure
# --------
# The statistics belong into the model. A normalization layer gets them from the training data, and from then on the
# model takes raw pixels everywhere.

x = x * spread + mean
normalization = keras.layers.Normalization()
normalization.adapt(x)
cured = classifier(normalization)
doctor = callbacks.Doctor()
train(cured, doctor)
print("medium or high findings:", [finding.rule for finding in doctor.findings if finding.severity != "low"])
accuracy = np.mean(np.argmax(cured.predict(x_test, verbose=0), axis=-1) == y_test)
print(f"test accuracy {accuracy:.1%}")

# %%
# No run was needed to find it: ``diagnosis.audit`` looks at model and data before the first step, and belongs before
# every long training.

broken = (x_val - mean) / spread
for finding in diagnosis.audit(classifier(normalization), x, y, validation_data=(broken, y_val)):
    if finding.severity != "low":
        print(finding.severity, finding.rule, finding.cause, sep=": ")
