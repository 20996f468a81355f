"""A search over settings of an estimator, on the workers of a Dask cluster."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
distributed = pytest.importorskip("distributed")

import joblib  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402

from crnn.sklearn import RNNClassifier  # noqa: E402


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_search_on_a_cluster_finds_what_one_process_finds():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 6, 1))  # (m, T, n_x)
    y = (X.sum(axis=(1, 2)) > 0).astype(int)
    model = RNNClassifier(4, max_iter=5, random_state=0)
    search = GridSearchCV(model, {"learning_rate_init": [1e-3, 3e-2]}, cv=2)
    alone = search.fit(X, y).cv_results_["mean_test_score"]
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        scores = search.fit(X, y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(scores, alone)
