"""
Fine-tuning with 27 images
==========================

A network trained to recognize the ten digits learns to tell odd from even digits from only 27 labeled images.
``fine_tune`` freezes what it has learned and adds a new output layer. The same network trained from scratch is the
comparison.
"""

import keras
import matplotlib.pyplot as plt

from keras_lecture import data, losses, models, optimizers

keras.utils.set_random_seed(0)
images, labels = data.load("digits")
digits, (x, y), (x_test, y_test) = data.split(images, labels, (0.6, 0.015, 0.385), seed=0)


def learn(model, x, y, epochs, **options):
    model.compile(optimizers.Adam(0.003), losses.SoftmaxCrossEntropy(), metrics=["accuracy"])
    return model.fit(x, y, batch_size=32, epochs=epochs, verbose=0, **options).history.get("val_accuracy")


# %%
# Train on the ten digits.

trained = models.mlp((8, 8, 1), 10, units=(128, 64))
learn(trained, *digits, epochs=10)

# %%
# All layers except the last are frozen, and the last one is replaced. The weights of ``trained`` do not change.

test = {"validation_data": (x_test, y_test % 2), "validation_batch_size": len(x_test)}
tuned = learn(models.fine_tune(trained, 2), x, y % 2, epochs=75, **test)
scratch = learn(models.mlp((8, 8, 1), 2, units=(128, 64)), x, y % 2, epochs=75, **test)

# %%
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot(tuned, label="fine-tuned")
axes.plot(scratch, label="from scratch")
axes.set(xlabel="epoch", ylabel="test accuracy", title="odd or even")
axes.legend(frameon=False)
plt.show()

# %%
print(f"{len(x)} images: test accuracy fine-tuned {tuned[-1]:.2%}, from scratch {scratch[-1]:.2%}")
