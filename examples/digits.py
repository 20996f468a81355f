"""Classify handwritten digits, each a sequence of 8 rows of 8 pixels (many-to-one).

The data are scikit-learn's 1,797 digits, of which a stratified quarter is held out. A bidirectional
model reaches an accuracy of 0.991 (0.987 to 0.993, depending on the kernels) in about 3 seconds;
logistic regression reaches 0.958.

    pip install "crnn[examples]"
    python examples/digits.py
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

import crnn


def main() -> float:
    """Train the model and return the accuracy on the held-out quarter."""
    images, y = load_digits(return_X_y=True)
    x = images.reshape(-1, 8, 8).transpose(1, 0, 2) / 16  # (T = 8 rows, m, n_x = 8 pixels)
    learn, test = train_test_split(np.arange(len(y)), test_size=0.25, stratify=y, random_state=0)

    model = crnn.RNN(8, 128, 10, direction="bidirectional", rng=0)
    model.fit(x[:, learn], y[learn], epochs=40, optimizer=crnn.Adam(2e-3), clip_norm=1.0, rng=0)
    _, accuracy = model.evaluate(x[:, test], y[test])

    linear = LogisticRegression(max_iter=2000).fit(images[learn], y[learn])
    baseline = linear.score(images[test], y[test])
    print(f"accuracy, held out   crnn {accuracy:.4f}   logistic regression {baseline:.4f}")
    return accuracy


if __name__ == "__main__":
    main()
