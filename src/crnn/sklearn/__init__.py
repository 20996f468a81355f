"""scikit-learn estimators over `crnn.RNN`: a label, values or a label per step for each sequence.

As in scikit-learn, examples are the first axis of X. It is an array (n, T, n_x), an array (n, T) of
sequences of one number a step, or a list of arrays (T_i, n_x) or (T_i,) of any lengths.
"""

from crnn._extras import extra

with extra("sklearn", "scikit-learn"):
    from crnn.sklearn.classifier import RNNClassifier
    from crnn.sklearn.regressor import RNNRegressor
    from crnn.sklearn.tagger import RNNSequenceTagger

__all__ = ["RNNClassifier", "RNNRegressor", "RNNSequenceTagger"]
