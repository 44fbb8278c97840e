"""A block program with its memory: what trains and predicts."""

import time
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skdeep.engine import program as p
from skdeep.engine import threads
from skdeep.engine.steps import run_steps
from skdeep.engine.target import LINE, aligned_zeros, lanes
from skdeep.engine.tiles import VECS
from skdeep.networks.compiler import compile_network

# Rows that a prediction takes through the network at a time.
PREDICTION_BATCH = 1024
# Predictions of up to so many samples keep their run for the next, if the network has no more parameters than that.
FEW_SAMPLES, MOST_KEPT = p.CHUNK, 10_000_000
# Operations from which a step is cut into parts, so that no launch lasts long; a core does some 10^11 a second.
LARGE_STEP = 2_000_000_000
# Operations that surely end within the longest launch.
SHORT_PASS = 1_000_000_000


@dataclass(frozen=True)
class Steps:
    """What a pass over the data leaves behind.

    Attributes
    ----------
    losses : float64 array
        Penalised mean loss of each batch, before its step.
    weights : float64 array
        Sum of the samples' weights of each batch.
    squares : float64 array
        For each layer with weights, the squared norm of its gradient, summed over the batches.
    """

    losses: np.ndarray
    weights: np.ndarray
    squares: np.ndarray


class Run:
    """Everything that the minibatches of one network need, allocated once.

    Parameters
    ----------
    network : Network
    theta : array of shape (n_parameters,), float32 or float64
        Copied.
    batch_size : int
    training : bool, default=True
        Whether there is memory for gradients and for the state of an optimiser; else the run is of the network's
        form for inference, with parameters of its own.
    statistics : array of shape (n_statistics,) or None, default=None
        Running statistics of normalisations, copied; None for a start from nothing.
    clipping : bool, default=False
        Whether the optimiser will limit the norm of the gradient.

    Attributes
    ----------
    theta : array of shape (n_parameters,)
        The parameters; for predictions only `set_parameters` changes them.
    first, second : arrays of shape (n_parameters,)
        The optimiser's memory: velocity, or running means of the gradient and of its square.
    n_updates : int
        Steps that the memory is made of.
    statistics : array of shape (n_statistics,)
    """

    def __init__(self, network, theta, batch_size, *, training=True, statistics=None, clipping=False):
        dtype = theta.dtype
        statistics = network.initial_statistics(dtype) if statistics is None else statistics
        self._trained = network
        if not training:
            network, theta, statistics = network.for_inference(theta, statistics)
        n = theta.size
        self.network, self.batch_size, self.dtype, self._clipping = network, batch_size, dtype, clipping
        self.program = compile_network(network, dtype, batch_size, training=training, clipping=clipping)
        # The loops read whole vectors, up to a register tile beyond the last parameter.
        padded = n + VECS * lanes(dtype)
        self._theta = aligned_zeros(padded, dtype)
        self._first, self._second = (aligned_zeros(padded if training else 1, dtype) for _ in range(2))
        self._grad, self._n_padded = np.zeros(0, dtype), padded
        self.theta, self.first, self.second = (array[:n] for array in (self._theta, self._first, self._second))
        self.theta[...] = theta
        self.statistics = statistics.astype(dtype)
        self.n_updates = 0
        self._tasks = self.program.tasks if training else self.program.tasks[:0]
        self._work = self.program.work * batch_size * (3 if training else 1)
        self._packed = aligned_zeros(self.program.packed_size, dtype)
        self._rows = aligned_zeros(self.program.rows_size, dtype)
        n_chunks = -(-batch_size // p.CHUNK)
        self._partials = np.zeros((n_chunks, self.program.n_map_parameters if training else 0), dtype)
        self._chunk_losses, self._chunk_weights = np.zeros((2, n_chunks))
        self._task_penalties, self._task_squares, self._total_squares = np.zeros((3, len(self._tasks)))
        self._workspaces, self._first_launch = {}, max(1, SHORT_PASS // max(1, self._work))
        self._scratches = np.zeros((0, 0), dtype)
        self._is_packed = False

    def set_parameters(self, theta, statistics):
        """Take over what a run that trains has learned."""
        _, self.theta[...], self.statistics[...] = self._trained.for_inference(theta, statistics)
        self._is_packed = False

    @property
    def grad(self):
        """The gradient of the last step, if there was no optimiser or one that clips: others keep none."""
        return self._grad[: self.theta.size]

    def train(self, X, Y, order, loss, hyper, *, weights=None, factors=None, seed=0):
        """One pass over `order` in batches.

        Parameters
        ----------
        X : array of shape (n_samples, n_features), C-contiguous, of theta's dtype, or such a CSR matrix
        Y : array of shape (n_samples, n_outputs), C-contiguous, of theta's dtype
            Or of shape (n_samples, 1), the numbers of the classes, for the cross-entropy of a softmax of more than one.
        order : int64 array
            The samples, in the order in which batches take them.
        loss : int
            A loss code of `skdeep.engine.program`.
        hyper : float64 array of shape (N_HYPERPARAMETERS,)
            The optimiser's numbers.
        weights : array of shape (n_samples,) or None, default=None
            The samples' weights, positive, of theta's dtype; None for ones.
        factors : float64 array or None, default=None
            What the learning rate is multiplied with in each step; None for ones.
        seed : int, default=0
            Of the masks of dropout.

        Returns
        -------
        Steps
        """
        n_steps = self._n_steps(len(order))
        factors = np.ones(n_steps) if factors is None else factors
        self._total_squares[:] = 0
        steps = self._launch(X, Y, weights, order, loss, hyper, factors, seed, np.zeros((0, 0), self.dtype))
        self.n_updates += n_steps
        return steps

    def predict(self, X):
        """The outputs of the last layer, array of shape (n_samples, n_outputs)."""
        return self.evaluate(X, np.zeros((0, 0), self.dtype), 0, np.zeros(p.N_HYPERPARAMETERS))[0]

    def evaluate(self, X, Y, loss, hyper, *, weights=None):
        """The outputs of the last layer, and the mean loss without penalties."""
        n_samples = X.shape[0]
        scores = np.empty((n_samples, self.network.n_outputs), self.dtype)
        factors = np.ones(self._n_steps(n_samples))
        steps = self._launch(X, Y, weights, np.arange(n_samples), loss, hyper, factors, 0, scores)
        return scores, float(steps.losses @ steps.weights / steps.weights.sum()) if len(Y) else np.nan

    def _n_steps(self, n_samples):
        return -(-n_samples // self.batch_size)

    def _launch(self, X, Y, weights, order, loss, hyper, factors, seed, scores):
        n_workers = threads.n_workers(self._work)
        # A turn has two chunks for each worker, so that none waits.
        n_parts = max(1, min(self._work // LARGE_STEP, len(self._chunk_losses) // (2 * n_workers)))
        longest_span = -(-self.program.longest_span // LINE) * LINE
        in_passing = not self._clipping and hyper[p.SOLVER] != p.GRADIENT_ONLY
        grad_size = n_workers * longest_span if in_passing else self._n_padded
        if len(self._tasks) and self._grad.size < grad_size:
            self._grad = aligned_zeros(grad_size + VECS * lanes(self.dtype), self.dtype)
        data, indices, indptr = _rows_of(X)
        weights = np.zeros(0, self.dtype) if weights is None else _aligned(weights)
        Y = _aligned(Y)
        steps = Steps(np.zeros(len(factors)), np.zeros(len(factors)), np.zeros(len(self.network.with_weights)))
        n_turns, longest, began = len(factors) * len(self.program.phases) * n_parts, 1, time.perf_counter()
        # The first phase packs the weights, which for predictions stay as they are.
        packed = n_parts if self._is_packed else 0
        for start, stop in threads.launches(n_turns - packed, first=self._first_launch):
            longest = max(longest, stop - start)
            run_steps(
                self.program.ops,
                self.program.phases,
                self.program.tables,
                self._tasks,
                data,
                indices,
                indptr,
                Y,
                weights,
                order,
                self.batch_size,
                n_parts,
                packed + start,
                packed + stop,
                loss,
                hyper,
                factors,
                self.n_updates,
                seed,
                self._theta,
                self._grad,
                longest_span,
                self._first,
                self._second,
                self.statistics,
                self._packed,
                self._workspace(n_workers),
                self._scratch(n_workers),
                self._rows,
                self._partials,
                scores,
                self._chunk_losses,
                self._chunk_weights,
                self._task_penalties,
                self._task_squares,
                self._total_squares,
                steps.losses,
                steps.weights,
                self.program.n_blocks,
                int(self.program.keep_maps),
                n_workers,
            )
        self._is_packed = len(self._tasks) == 0 and n_turns > 0
        # The next pass is one launch if this one was short, or begins with what has been found to fit.
        short = time.perf_counter() - began < threads.LONGEST_LAUNCH / 2
        self._first_launch = n_turns if short else longest
        for task, squares in zip(self._tasks, self._total_squares, strict=True):
            if task[p.TASK_KIND] in (p.DENSE_ROWS, p.MAP_SPAN) and task[p.TASK_PENALISED]:
                steps.squares[self.program.layer_of[task[p.TASK_OPERATION]]] += squares
        return steps

    def _scratch(self, n_workers):
        """What each worker needs while it works on one block."""
        if len(self._scratches) < n_workers:
            size = self.program.scratch_size
            self._scratches = aligned_zeros(n_workers * size, self.dtype).reshape(n_workers, size)
        return self._scratches

    def _workspace(self, n_workers):
        """Planes for the blocks of one chunk, for each worker or for each chunk; frames of zeros are never written."""
        n_chunks = len(self._chunk_losses) if self.program.keep_maps else n_workers
        if n_chunks not in self._workspaces:
            n_spaces = n_chunks * self.program.n_blocks
            numbers = aligned_zeros(n_spaces * self.program.workspace_size, self.dtype)
            self._workspaces[n_chunks] = numbers.reshape(n_spaces, -1)
        return self._workspaces[n_chunks]


def predict(network, theta, statistics, X):
    """The outputs of the last layer of a network with these parameters, array of shape (n_samples, n_outputs).

    For few samples it would take longer to make a run than to use it: the network keeps it for the next.
    """
    batch_size = min(PREDICTION_BATCH, max(X.shape[0], 1))
    if batch_size > FEW_SAMPLES or theta.size > MOST_KEPT:
        return Run(network, theta, batch_size, training=False, statistics=statistics).predict(X)
    # Taken out while it runs, since another thread may predict at the same time.
    kept = network.kept.pop(batch_size, None)
    if kept is None or not kept.serves(theta, statistics):
        kept = _Kept(network, theta.copy(), statistics.copy(), batch_size)
    scores = kept.run.predict(X)
    network.kept = {batch_size: kept}
    return scores


class _Kept:
    """A run that predicts, and what it was made from."""

    def __init__(self, network, theta, statistics, batch_size):
        self.run = Run(network, theta, batch_size, training=False, statistics=statistics)
        self.theta, self.statistics = theta, statistics

    def serves(self, theta, statistics):
        """Whether these are still the parameters: their owner may have changed them in place."""
        same = np.array_equal(theta, self.theta) and np.array_equal(statistics, self.statistics)
        return same and theta.dtype == self.theta.dtype


def _rows_of(X):
    """The numbers of X, and where they stand: column indices and row pointers, none of a dense X."""
    if sparse.issparse(X):
        return _aligned(X.data), X.indices.astype(np.int64, copy=False), X.indptr.astype(np.int64, copy=False)
    none = np.zeros(0, np.int64)
    return _aligned(X.reshape(-1)), none, none


def _aligned(array):
    """The array, or a copy of one whose numbers lie across the machine's: numba would take it for another type."""
    return np.require(array, requirements="A")
