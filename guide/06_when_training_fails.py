"""
When training fails
===================

You will learn how to ask what is wrong with a model and its training, before and during ``fit``, and how to get the
repaired program. (4 minutes)
"""

import tempfile
from pathlib import Path

import keras

from keras_lecture import callbacks, data, diagnosis

images, labels = data.load("digits")
pixels = images.reshape(-1, 64)
train, validation = data.split(pixels, labels, (0.8, 0.2), seed=0)

# %%
# A program with a fault
# ----------------------
# It runs without an error, and it learns next to nothing.


def classifier(learning_rate=0.01):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(10)])
    adam = keras.optimizers.Adam(learning_rate)
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


model = classifier()
history = model.fit(*train, epochs=5, validation_data=validation, verbose=0).history
print(f"validation accuracy {history['val_accuracy'][-1]:.1%}")

# %%
# Audit: before the first step
# ----------------------------
# ``audit`` looks for contradictions between data, output, loss and initialization. Each finding has a severity:
# ``high``, this will not work; ``medium``, it works worse than it could; ``low``, worth knowing.

model = classifier()
findings = [finding for finding in diagnosis.audit(model, *train) if finding.severity != "low"]
for finding in findings:
    print(finding.severity, finding.rule, finding.layer, sep=", ")
    print(finding.cause, finding.cure, sep="\n")

# %%
# Prescribe: the repaired program
# -------------------------------
# ``prescribe`` rebuilds the model with the cure and prints the change as Keras code, to be copied into your program.
# The given model stays as it is.

prescription = diagnosis.prescribe(model, findings, train[0])
print(prescription)
history = prescription.model.fit(*train, epochs=5, validation_data=validation, verbose=0).history
print(f"validation accuracy {history['val_accuracy'][-1]:.1%}")

# %%
# Doctor: during training
# -----------------------
# Some faults show only while a model trains. ``Doctor`` needs no arguments, prints what it finds, and changes no
# weight, unless ``treat=True``: then it also gives first aid that needs no new model, and says what it did. Here the
# model is the repaired one, with a learning rate a hundred times as large.

model = prescription.model
model.optimizer.learning_rate = 1.0
doctor = callbacks.Doctor(treat=True)
history = model.fit(*train, epochs=10, validation_data=validation, callbacks=[doctor], verbose=0).history
for action in doctor.actions:
    print(f"step {action['step']}, {action['rule']}: {action['text']}")
print(
    f"validation accuracy {history['val_accuracy'][-1]:.1%}, learning rate {float(model.optimizer.learning_rate):.2g}"
)

# %%
# First aid is no cure: put the better rate into the program. The report is one file that opens without a network, to
# keep or to pass on, and returns the verdict as plain data.

with tempfile.TemporaryDirectory() as folder:
    told = doctor.report(Path(folder) / "run.html")
print(told["verdict"])

# %%
# Where to go next: :doc:`never lose a run <07_never_lose_a_run>`. :doc:`The doctor </doctor>` has a page for every rule
# and says how far it can be trusted, :doc:`a bug in five minutes </gallery/doctor>` follows a finding to its cause, and
# :doc:`questions and answers </faq>` starts from the symptom.
