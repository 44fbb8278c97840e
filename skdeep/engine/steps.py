"""The one entry point of networks: run a block program over minibatches, to train or to predict."""

from numba import prange

from skdeep.engine.conv import (
    convolution_backward,
    convolution_forward,
    convolution_pack,
    flatten_backward,
    flatten_forward,
    input_maps,
)
from skdeep.engine.dense import (
    dense_backward,
    dense_bias_gradient,
    dense_forward,
    dense_transpose,
    dense_weight_gradient,
    input_rows,
)
from skdeep.engine.jit import (
    compiled,
    doubles,
    doubles_out,
    integer,
    integers,
    integers_2d,
    out,
    out_2d,
    part,
    reals_2d,
)
from skdeep.engine.losses import loss_and_delta
from skdeep.engine.program import (
    ALPHA,
    CHUNK,
    CONVOLUTION,
    DENSE,
    DENSE_BIAS,
    DENSE_ROWS,
    FLATTEN,
    INPUT_DELTA_AT,
    INPUT_MAPS,
    INPUT_ROWS,
    KIND,
    N_OUTPUTS,
    OUT_AT,
    OUT_STRIDE,
    TASK_KIND,
    TASK_OPERATION,
    TASK_PENALISED,
    TASK_START,
    TASK_STOP,
    W_AT,
)
from skdeep.engine.simd import lanes_of
from skdeep.engine.updates import update_span


@part
def _forward(ops, tables, theta, packed, X, samples, row, spaces, rows, training):
    """Take a chunk of samples through the network; a block of them, one to a lane, has a workspace of its own."""
    lanes, n = lanes_of(theta), len(samples)
    for i in range(len(ops)):
        op = ops[i]
        if op[KIND] == INPUT_ROWS:
            input_rows(op, tables, X, samples, n, rows, row)
        elif op[KIND] == DENSE:
            dense_forward(op, theta, rows, row, n)
        else:
            for first in range(0, n, lanes):
                ws, n_samples = spaces[first // lanes], min(lanes, n - first)
                if op[KIND] == INPUT_MAPS:
                    input_maps(op, tables, X, samples[first:], n_samples, ws)
                elif op[KIND] == CONVOLUTION:
                    convolution_forward(op, tables, ws, packed, theta, training)
                else:
                    flatten_forward(op, ws, rows, row + first, n_samples)


@part
def _report(last, samples, row, rows, scores):
    """The outputs of a chunk, to the rows of its samples."""
    for r in range(len(samples)):
        for k in range(last[N_OUTPUTS]):
            scores[samples[r], k] = rows[last[OUT_AT] + (row + r) * last[OUT_STRIDE] + k]


@part
def _learn(ops, tables, packed, loss, Y, samples, row, spaces, rows, partial):
    """The loss of a chunk; deltas of all its dense layers, and gradients of the weights of its maps in `partial`."""
    lanes, n = lanes_of(rows), len(samples)
    total = loss_and_delta(loss, ops[len(ops) - 1], rows, row, n, Y, samples)
    for i in range(len(partial)):
        partial[i] = 0
    for i in range(len(ops) - 1, 0, -1):
        op = ops[i]
        if op[KIND] == DENSE:
            dense_backward(op, rows, packed, row, n)
        else:
            for first in range(0, n, lanes):
                ws = spaces[first // lanes]
                if op[KIND] == FLATTEN:
                    flatten_backward(op, ws, rows, row + first, min(lanes, n - first))
                else:
                    convolution_backward(op, tables, ws, packed, partial)
    return total


@part
def _update(task, ops, theta, grad, first, second, hyper, n_updates, rows, partials, n_chunks, n_samples):
    """Sum one task's gradient over the batch in fixed order and step its parameters."""
    op, start, stop = ops[task[TASK_OPERATION]], task[TASK_START], task[TASK_STOP]
    if task[TASK_KIND] == DENSE_ROWS:
        dense_weight_gradient(op, rows, n_samples, start, stop, grad)
        start, stop = op[W_AT] + start * op[N_OUTPUTS], op[W_AT] + stop * op[N_OUTPUTS]
    elif task[TASK_KIND] == DENSE_BIAS:
        dense_bias_gradient(op, rows, n_samples, grad)
    else:
        for i in range(start, stop):
            grad[i] = partials[0, i]
        for chunk in range(1, n_chunks):
            for i in range(start, stop):
                grad[i] += partials[chunk, i]
    return update_span(theta, grad, first, second, hyper, n_updates, start, stop, task[TASK_PENALISED] != 0, n_samples)


@compiled(parallel=True)
def run_steps(
    ops: integers_2d,
    tables: integers,
    tasks: integers_2d,
    X: reals_2d,
    Y: reals_2d,
    order: integers,
    batch_size: integer,
    n_parts: integer,
    first_part: integer,
    stop_part: integer,
    loss: integer,
    hyper: doubles,
    n_updates: integer,
    theta: out,
    grad: out,
    first: out,
    second: out,
    packed: out,
    workspaces: out_2d,
    rows: out,
    partials: out_2d,
    scores: out_2d,
    chunk_losses: doubles_out,
    task_penalties: doubles_out,
    step_losses: doubles_out,
    n_workers: integer,
):
    """Take the batches of `order` through the network: train if there are tasks, else fill `scores`.

    A step has three phases: pack the weights; take each chunk of samples forward and backward; sum the
    gradients and update, each task a span of theta. One launch does the parts first_part..stop_part, of
    n_parts to a step: several steps of one part, or parts of a large one, half of them for the chunks.
    """
    training = len(tasks) > 0
    spaces_each = len(workspaces) // n_workers
    last = ops[len(ops) - 1]
    chunk_parts = (n_parts + 1) // 2
    task_parts = max(n_parts - chunk_parts, 1)
    for turn in range(first_part, stop_part):
        step, place = turn // n_parts, turn % n_parts
        batch = order[step * batch_size : min(len(order), (step + 1) * batch_size)]
        n_chunks = (len(batch) + CHUNK - 1) // CHUNK
        if place == 0 and (training or turn == first_part):
            for worker in prange(n_workers):
                for i in range(worker, len(ops), n_workers):
                    if ops[i, KIND] == CONVOLUTION:
                        convolution_pack(ops[i], tables, theta, packed)
                    elif training and ops[i, KIND] == DENSE and ops[i, INPUT_DELTA_AT] >= 0:
                        dense_transpose(ops[i], theta, packed)
        if place < chunk_parts:
            first_chunk, stop_chunk = place * n_chunks // chunk_parts, (place + 1) * n_chunks // chunk_parts
            for worker in prange(n_workers):
                spaces = workspaces[worker * spaces_each : (worker + 1) * spaces_each]
                for chunk in range(first_chunk + worker, stop_chunk, n_workers):
                    samples = batch[chunk * CHUNK : (chunk + 1) * CHUNK]
                    _forward(ops, tables, theta, packed, X, samples, chunk * CHUNK, spaces, rows, training)
                    if training:
                        chunk_losses[chunk] = _learn(
                            ops, tables, packed, loss, Y, samples, chunk * CHUNK, spaces, rows, partials[chunk]
                        )
                    else:
                        _report(last, samples, chunk * CHUNK, rows, scores)
        if training and place >= n_parts - task_parts:
            place -= n_parts - task_parts
            first_task, stop_task = place * len(tasks) // task_parts, (place + 1) * len(tasks) // task_parts
            t = n_updates + step + 1
            for worker in prange(n_workers):
                for i in range(first_task + worker, stop_task, n_workers):
                    task_penalties[i] = _update(
                        tasks[i], ops, theta, grad, first, second, hyper, t, rows, partials, n_chunks, len(batch)
                    )
            if stop_task == len(tasks):
                total, squares = 0.0, 0.0
                for chunk in range(n_chunks):
                    total += chunk_losses[chunk]
                for i in range(len(tasks)):
                    squares += task_penalties[i]
                step_losses[step] = (total + 0.5 * hyper[ALPHA] * squares) / len(batch)
