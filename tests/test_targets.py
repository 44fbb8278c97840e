"""The engine on narrower machines than this one: AVX2 without AVX-512, and SSE alone."""

import pickle
import platform
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from skdeep.engine import target
from tests import _models
from tests._subprocess import run_python

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or target.VECTOR_BITS < 256, reason="needs an x86 processor with AVX2"
)
ENGINE_TESTS = ["tests/test_simd.py", "tests/test_backpropagation.py", "tests/test_gram_engine.py"]
# Named alone, a processor keeps the host's features, as numba does; without any features it has its own.
PROCESSORS = [("haswell", 256), ("nehalem", 128)]
NARROW = [(name, bits) for name, bits in PROCESSORS if bits < target.VECTOR_BITS]
FEATURES_OF_THE_HOST = [(name, target.VECTOR_BITS) for name, _ in PROCESSORS]


def run_tests(files, processor, bits, **env):
    code = f"""
    import sys
    import pytest
    from skdeep.engine import target

    assert target.VECTOR_BITS == {bits}, target.VECTOR_BITS
    assert target.VECTOR_REGISTERS == {32 if bits == 512 else 16}
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *{files}]))
    """
    run_python(code, timeout=900, NUMBA_CPU_NAME=processor, **env)


def test_the_engine_in_narrow_vectors():
    # They mostly compile, each on one core.
    jobs = [([file], processor, bits) for processor, bits in NARROW for file in ENGINE_TESTS]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: run_tests(*job, NUMBA_CPU_FEATURES=""), jobs))


@pytest.mark.parametrize(("processor", "bits"), FEATURES_OF_THE_HOST)
def test_the_engine_for_a_processor_with_the_features_of_the_host(processor, bits):
    run_tests(ENGINE_TESTS[:1], processor, bits)


@pytest.mark.parametrize(("processor", "bits"), NARROW)
@pytest.mark.parametrize("name", _models.MODELS)
def test_a_saved_model_predicts_the_same_in_narrow_vectors(name, processor, bits, tmp_path):
    model = _models.fitted(name, np.float64)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    code = f"""
    import pickle
    from pathlib import Path
    import numpy as np
    from skdeep.engine import target
    from tests import _models

    assert target.VECTOR_BITS == {bits}
    folder = Path({str(tmp_path)!r})
    model = pickle.loads((folder / "model.pkl").read_bytes())
    np.save(folder / "scores.npy", _models.scores(model, _models.data(np.float64)[0]))
    """
    run_python(code, timeout=300, NUMBA_CPU_NAME=processor, NUMBA_CPU_FEATURES="", NUMBA_NUM_THREADS=1)
    # Wider vectors add in another order.
    scores = _models.scores(model, _models.data(np.float64)[0])
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), scores, rtol=1e-10, atol=1e-10)
