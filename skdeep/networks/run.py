"""A block program with its memory: what trains and predicts."""

import numpy as np

from skdeep.engine import program as p
from skdeep.engine import threads
from skdeep.engine.simd import VECS
from skdeep.engine.steps import run_steps
from skdeep.engine.target import lanes
from skdeep.networks.compiler import compile_network

# Rows that a prediction takes through the network at a time.
PREDICTION_BATCH = 1024
# Operations from which a step is cut into parts, so that no launch lasts long; a core does some 10^11 a second.
LARGE_STEP = 2_000_000_000
_NOTHING = np.zeros((0, p.N_TASK_COLUMNS), np.int64)


class Run:
    """Everything that the minibatches of one network need, allocated once.

    Parameters
    ----------
    network : Network
    theta : array of shape (n_parameters,), float32 or float64
        Copied.
    batch_size : int
    training : bool, default=True
        Whether there is memory for gradients and for the state of an optimiser.

    Attributes
    ----------
    theta, grad : arrays of shape (n_parameters,)
        The parameters, and the gradient of the last step.
    """

    def __init__(self, network, theta, batch_size, *, training=True):
        self.program = compile_network(network, theta.dtype, batch_size)
        self.batch_size, self.dtype = batch_size, theta.dtype
        # The loops read whole vectors, up to a register tile beyond the last parameter.
        self._padded = np.concatenate([theta, np.zeros(VECS * lanes(theta.dtype), theta.dtype)])
        n = self._padded.size if training else 1
        self._grad, self._first, self._second = (np.zeros(n, theta.dtype) for _ in range(3))
        self.theta, self.grad = self._padded[: theta.size], self._grad[: theta.size]
        self.n_updates = 0
        n_chunks = -(-batch_size // p.CHUNK)
        self._tasks = self.program.tasks if training else _NOTHING
        self._work = self.program.work * batch_size * (3 if training else 1)
        self._packed = np.zeros(self.program.packed_size, theta.dtype)
        self._rows = np.zeros(self.program.rows_size, theta.dtype)
        self._partials = np.zeros((n_chunks, self.program.n_map_parameters if training else 0), theta.dtype)
        self._chunk_losses, self._task_penalties = np.zeros(n_chunks), np.zeros(len(self._tasks))
        self._workspaces = {}

    def train(self, X, Y, order, loss, hyper):
        """One pass over `order` in batches; the penalised mean loss of each batch before its step.

        Parameters
        ----------
        X : array of shape (n_samples, n_features), C-contiguous, of theta's dtype
        Y : array of shape (n_samples, n_outputs), likewise
        order : int64 array
            The samples, in the order in which batches take them.
        loss : int
            A loss code of `skdeep.engine.program`.
        hyper : float64 array of shape (N_HYPERPARAMETERS,)
            The optimiser's numbers.

        Returns
        -------
        losses : float64 array, one for each batch
        """
        n_steps = -(-len(order) // self.batch_size)
        losses = np.zeros(n_steps)
        self._launch(X, Y, order, n_steps, loss, hyper, np.zeros((0, 0), self.dtype), losses)
        self.n_updates += n_steps
        return losses

    def predict(self, X):
        """The outputs of the last layer, array of shape (n_samples, n_outputs)."""
        n_steps = -(-len(X) // self.batch_size)
        scores = np.empty((len(X), self.program.ops[-1, p.N_OUTPUTS]), self.dtype)
        no_targets = np.zeros((0, 0), self.dtype)
        self._launch(X, no_targets, np.arange(len(X)), n_steps, 0, np.zeros(p.N_HYPERPARAMETERS), scores, np.zeros(0))
        return scores

    def _launch(self, X, Y, order, n_steps, loss, hyper, scores, losses):
        n_workers = threads.n_workers(self._work)
        # A part has two chunks for each worker, so that none waits.
        chunk_parts = min(self._work // LARGE_STEP, len(self._chunk_losses) // (2 * n_workers))
        n_parts = 2 * chunk_parts if chunk_parts > 1 else 1
        for start, stop in threads.launches(n_steps * n_parts):
            self._launch_parts(X, Y, order, n_parts, start, stop, loss, hyper, scores, losses, n_workers)

    def _launch_parts(self, X, Y, order, n_parts, start, stop, loss, hyper, scores, losses, n_workers):
        run_steps(
            self.program.ops,
            self.program.tables,
            self._tasks,
            X,
            Y,
            order,
            self.batch_size,
            n_parts,
            start,
            stop,
            loss,
            hyper,
            self.n_updates,
            self._padded,
            self._grad,
            self._first,
            self._second,
            self._packed,
            self._workspace(n_workers),
            self._rows,
            self._partials,
            scores,
            self._chunk_losses,
            self._task_penalties,
            losses,
            n_workers,
        )

    def _workspace(self, n_workers):
        """Planes for the blocks of one chunk, for each worker; their frames of zeros are never written."""
        if n_workers not in self._workspaces:
            n_blocks = max(1, p.CHUNK // lanes(self.dtype))
            self._workspaces[n_workers] = np.zeros((n_workers * n_blocks, self.program.workspace_size), self.dtype)
        return self._workspaces[n_workers]
