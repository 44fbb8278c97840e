"""The one entry point of networks: run a block program over minibatches, to train or to predict."""

import math

from numba import int64, prange

from skdeep.engine.conv import (
    convolution_backward,
    convolution_forward,
    convolution_of_one_sample,
    convolution_pack,
    flatten_backward,
    flatten_forward,
    input_maps,
)
from skdeep.engine.dense import (
    delta_by_z,
    dense_backward,
    dense_bias_gradient,
    dense_forward,
    dense_weight_gradient,
    input_rows,
)
from skdeep.engine.dropout import dropout_backward, dropout_forward, dropout_maps_backward, dropout_maps_forward
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
    reals,
    reals_2d,
)
from skdeep.engine.local import local_backward, local_forward
from skdeep.engine.losses import loss_and_delta
from skdeep.engine.normalisation import (
    batch_statistics,
    chunk_delta_sums,
    chunk_moments,
    delta_sums,
    map_delta_sums,
    map_statistics,
    normalise_backward,
    normalise_forward,
    normalise_maps_backward,
    normalise_maps_forward,
    use_running_statistics,
)
from skdeep.engine.pointwise import (
    activate_maps_backward,
    activate_maps_forward,
    activate_rows_forward,
    copy_delta,
    fork_backward,
    join_forward,
)
from skdeep.engine.pool import average_pool_forward, max_pool_forward, pool_backward
from skdeep.engine.program import (
    ACROSS,
    ACTIVATE,
    ACTIVATE_MAPS,
    AVERAGE_POOL,
    BACKWARD,
    CHUNK,
    CLIP_NORM,
    CONVOLUTION,
    DELTA_SUMS,
    DENSE,
    DENSE_BIAS,
    DENSE_ROWS,
    DROPOUT,
    DROPOUT_MAPS,
    FLATTEN,
    FORK,
    FORWARD,
    GRADIENT_ONLY,
    GRADIENTS,
    GRADIENTS_AND_UPDATE,
    INPUT_DELTA_AT,
    INPUT_MAPS,
    INPUT_ROWS,
    JOIN,
    KIND,
    LEARNING_RATE,
    LOCAL,
    LOSS_PARAMETER,
    MAP_SPAN,
    MAX_POOL,
    N_OUTPUTS,
    N_PATCHES,
    N_WINDOWS,
    NORM_SCALE,
    NORMALISE,
    NORMALISE_MAPS,
    OUT_AT,
    OUT_STRIDE,
    PACK,
    PHASE_KIND,
    PHASE_START,
    PHASE_STOP,
    PHASE_TOGETHER,
    PIXELS,
    SHARED,
    SOLVER,
    STATISTICS,
    STATISTICS_AT,
    STATISTICS_STRIDE,
    TASK_KIND,
    TASK_OPERATION,
    TASK_PENALISED,
    TASK_START,
    TASK_STOP,
    THROUGH,
    UPDATE,
    W_AT,
    WINOGRAD_FORWARD,
)
from skdeep.engine.simd import (
    lanes_of,
)
from skdeep.engine.updates import finish_gradient, update_span


@part
def _pack(ops, tables, theta, packed, scratch, running, rows, training, worker, n_workers):
    """What operations need before the first sample of a batch."""
    for i in range(len(ops)):
        op = ops[i]
        if op[KIND] == CONVOLUTION:
            convolution_pack(op, tables, theta, packed, scratch, worker, n_workers)
        elif i % n_workers == worker and (op[KIND] == NORMALISE or op[KIND] == NORMALISE_MAPS) and not training:
            use_running_statistics(op, rows, running)


@part
def _forward(
    ops, tables, theta, packed, data, indices, indptr, samples, row, spaces, scratch, rows, training, seed, step
):
    """Take chunks of samples through operations; on maps, each block of them has a workspace of its own."""
    lanes, n = lanes_of(theta), len(samples)
    for i in range(len(ops)):
        op = ops[i]
        if op[KIND] == INPUT_ROWS:
            input_rows(op, tables, data, indices, indptr, samples, rows, row)
        elif op[KIND] == DENSE:
            dense_forward(op, theta, rows, row, n, 0, op[N_OUTPUTS], training)
        elif op[KIND] == ACTIVATE:
            activate_rows_forward(op, rows, row, n, training)
        elif op[KIND] == NORMALISE:
            normalise_forward(op, theta, rows, row, n, training)
        elif op[KIND] == DROPOUT:
            dropout_forward(op, rows, row, samples, seed, step)
        else:
            block = lanes // op[ACROSS]
            for first in range(0, n, block):
                _forward_maps(
                    op, tables, theta, packed, data, samples[first : first + block], row + first,
                    spaces[first // block], scratch, rows, training, seed, step,
                )  # fmt: skip


@part
def _forward_maps(op, tables, theta, packed, data, samples, row, ws, scratch, rows, training, seed, step):
    """Take a block of samples through an operation on maps."""
    n = len(samples)
    if op[KIND] == INPUT_MAPS:
        input_maps(op, tables, data, samples, n, ws)
    elif op[KIND] == CONVOLUTION:
        convolution_forward(op, tables, ws, packed, theta, scratch, training)
    elif op[KIND] == LOCAL:
        local_forward(op, tables, ws, theta)
    elif op[KIND] == MAX_POOL:
        max_pool_forward(op, tables, ws, training)
    elif op[KIND] == AVERAGE_POOL:
        average_pool_forward(op, tables, ws)
    elif op[KIND] == JOIN:
        join_forward(op, tables, ws)
    elif op[KIND] == ACTIVATE_MAPS:
        activate_maps_forward(op, tables, ws)
    elif op[KIND] == NORMALISE_MAPS:
        normalise_maps_forward(op, tables, ws, theta, rows)
    elif op[KIND] == DROPOUT_MAPS:
        dropout_maps_forward(op, tables, samples, n, ws, seed, step)
    elif op[KIND] == FLATTEN:
        flatten_forward(op, tables, ws, rows, row, n)


@part
def _forward_shared(op, tables, theta, packed, spaces, scratch, rows, n_samples, worker, n_workers):
    """One worker's share of an operation: of the outputs of each channel, or of the units, of all samples."""
    if op[KIND] == CONVOLUTION:
        if op[WINOGRAD_FORWARD] == 1:
            share = _share(op[N_PATCHES], 1, worker, n_workers)
        else:
            share = _share(op[N_WINDOWS], PIXELS, worker, n_workers)
        for sample in range(n_samples):
            convolution_of_one_sample(op, tables, spaces[sample], packed, theta, scratch, share)
    else:
        start, stop = _share(op[N_OUTPUTS], lanes_of(rows), worker, n_workers)
        dense_forward(op, theta, rows, 0, n_samples, start, stop, False)


@part
def _share(n, unit, worker, n_workers):
    """One worker's share, start and stop, of n items of which so many hang together."""
    n_units = (n + unit - 1) // unit
    return worker * n_units // n_workers * unit, min(n, (worker + 1) * n_units // n_workers * unit)


@part
def _report(last, samples, row, rows, scores):
    """The outputs of a chunk, to the rows of its samples."""
    for r in range(len(samples)):
        for k in range(last[N_OUTPUTS]):
            scores[samples[r], k] = rows[last[OUT_AT] + (row + r) * last[OUT_STRIDE] + k]


@part
def _backward(
    ops, start, stop, tables, theta, packed, samples, row, n_batch, spaces, scratch, rows, partial, seed, step
):
    """Deltas of operations from the last to the first, and gradients of the weights of maps in `partial`.

    A normalisation is where the phases meet: its deltas are summed between its own two halves.
    """
    lanes, n = lanes_of(rows), len(samples)
    if stop < len(ops) and ops[stop, INPUT_DELTA_AT] >= 0:
        if ops[stop, KIND] == NORMALISE:
            normalise_backward(ops[stop], theta, rows, row, n, n_batch)
        elif ops[stop, KIND] == NORMALISE_MAPS:
            for first in range(0, n, lanes):
                normalise_maps_backward(ops[stop], tables, spaces[first // lanes], theta, rows, n - first, n_batch)
    for i in range(stop - 1, max(start, 1) - 1, -1):
        op = ops[i]
        if op[KIND] == DENSE:
            dense_backward(op, theta, rows, scratch, row, n)
        elif op[KIND] == ACTIVATE:
            delta_by_z(op, rows, row, n)
            copy_delta(op, rows, row, n)
        elif op[KIND] == NORMALISE:
            delta_by_z(op, rows, row, n)
        elif op[KIND] == DROPOUT:
            dropout_backward(op, rows, row, samples, seed, step)
        else:
            for first in range(0, n, lanes):
                _backward_maps(
                    op, tables, theta, packed, samples[first : first + lanes], row + first, spaces[first // lanes],
                    scratch, rows, partial, seed, step,
                )  # fmt: skip


@part
def _backward_maps(op, tables, theta, packed, samples, row, ws, scratch, rows, partial, seed, step):
    """Deltas of a block of samples through an operation on maps, a join having none of its own."""
    n = len(samples)
    if op[KIND] == FLATTEN:
        flatten_backward(op, ws, rows, row, n)
    elif op[KIND] == CONVOLUTION:
        convolution_backward(op, tables, ws, packed, scratch, partial)
    elif op[KIND] == LOCAL:
        local_backward(op, tables, ws, theta, partial)
    elif op[KIND] == MAX_POOL or op[KIND] == AVERAGE_POOL:
        pool_backward(op, tables, ws, op[KIND] == MAX_POOL)
    elif op[KIND] == FORK:
        fork_backward(op, ws)
    elif op[KIND] == ACTIVATE_MAPS:
        activate_maps_backward(op, tables, ws)
    elif op[KIND] == NORMALISE_MAPS:
        chunk_delta_sums(op, tables, ws, theta, rows, partial)
    elif op[KIND] == DROPOUT_MAPS:
        dropout_maps_backward(op, tables, samples, n, ws, seed, step)


@part
def _statistics(kind, op, rows, partials, running, n_batch, worker, n_workers):
    """One worker's share of the units of a normalisation, forward or backward."""
    step = 1 if op[KIND] == NORMALISE_MAPS else lanes_of(rows)
    for unit in range(worker * step, op[N_OUTPUTS], n_workers * step):
        if op[KIND] == NORMALISE_MAPS and kind == STATISTICS:
            map_statistics(op, partials, rows, running, n_batch, unit)
        elif op[KIND] == NORMALISE_MAPS:
            map_delta_sums(op, partials, rows, n_batch, unit)
        elif kind == STATISTICS:
            batch_statistics(op, rows, running, n_batch, unit)
        else:
            delta_sums(op, rows, n_batch, unit)


@part
def _gradient(task, ops, theta, rows, partials, grad, at, n_chunks, n_batch, is_updated):
    """Sum one task's gradient over the batch in fixed order, to grad[at:]."""
    op, start, stop = ops[task[TASK_OPERATION]], task[TASK_START], task[TASK_STOP]
    if task[TASK_KIND] == DENSE_ROWS:
        dense_weight_gradient(op, theta, rows, n_batch, start, stop, grad, at, is_updated)
    elif task[TASK_KIND] == DENSE_BIAS:
        dense_bias_gradient(op, rows, n_batch, grad, at)
    elif task[TASK_KIND] == MAP_SPAN:
        for i in range(stop - start):
            grad[at + i] = partials[0, start + i]
        for chunk in range(1, n_chunks):
            for i in range(stop - start):
                grad[at + i] += partials[chunk, start + i]
    else:
        which = 3 if task[TASK_KIND] == NORM_SCALE else 2
        for i in range(stop - start):
            grad[at + i] = rows[op[STATISTICS_AT] + which * op[STATISTICS_STRIDE] + i]


@part
def _span(task, ops):
    """The span of theta that a task updates."""
    op, start, stop = ops[task[TASK_OPERATION]], task[TASK_START], task[TASK_STOP]
    if task[TASK_KIND] == DENSE_ROWS:
        return op[W_AT] + start * op[N_OUTPUTS], op[W_AT] + stop * op[N_OUTPUTS]
    return start, stop


@part
def _shrink(task_squares, clip_norm):
    """What makes the whole gradient as short as clip_norm."""
    total = 0.0
    for i in range(len(task_squares)):
        total += task_squares[i]
    return min(1.0, clip_norm / math.sqrt(total)) if total > 0 else 1.0


@part
def _total(numbers, n):
    total = 0.0
    for i in range(n):
        total += numbers[i]
    return total


@part
def _chunks(
    phase, ops, tables, data, indices, indptr, Y, weights, batch, training, loss, hyper, seed, t, theta, packed,
    workspaces, scratches, rows, partials, scores, chunk_losses, chunk_weights, n_blocks, keep_maps, first, stop,
    worker,
):  # fmt: skip
    """Take one worker's chunks of the batch, first..stop, forward, to their loss, and backward, as the phase has it."""
    kind, op_start, op_stop, together = phase[PHASE_KIND], phase[PHASE_START], phase[PHASE_STOP], phase[PHASE_TOGETHER]
    for chunk in range(first, stop, together):
        row, stop_row = chunk * CHUNK, min(stop, chunk + together) * CHUNK
        samples = batch[row:stop_row]
        # A workspace for each chunk, where maps must last from phase to phase, or for each worker.
        space = (chunk if keep_maps else worker) * n_blocks
        spaces = workspaces[space : space + n_blocks]
        if kind != BACKWARD:
            _forward(
                ops[op_start:op_stop], tables, theta, packed, data, indices, indptr, samples, row, spaces,
                scratches[worker], rows, training, seed, t,
            )  # fmt: skip
        if kind == FORWARD and ops[op_stop, KIND] == NORMALISE_MAPS:
            chunk_moments(ops[op_stop], tables, spaces, len(samples), partials[chunk])
        if kind == THROUGH and not training:
            _report(ops[len(ops) - 1], samples, row, rows, scores)
        if kind == THROUGH and len(Y) > 0:
            # One sum for each chunk, however many come together.
            for one in range(chunk, min(stop, chunk + together)):
                partials[one, :] = 0
                chunk_losses[one], chunk_weights[one] = loss_and_delta(
                    loss, hyper[LOSS_PARAMETER], ops[len(ops) - 1], rows, one * CHUNK, Y, weights,
                    batch[one * CHUNK : (one + 1) * CHUNK],
                )  # fmt: skip
        if training and kind != FORWARD:
            _backward(
                ops, op_start, op_stop, tables, theta, packed, samples, row, len(batch), spaces, scratches[worker],
                rows, partials[chunk], seed, t,
            )  # fmt: skip


@part
def _tasks(
    kind, ops, tasks, hyper, factor, t, theta, grad, longest_span, first, second, rows, partials, weight,
    n_chunks, n_batch, task_penalties, task_squares, first_task, stop_task, worker, n_workers,
):  # fmt: skip
    """One worker's share of the tasks: gradients, updates, or both."""
    rate = hyper[LEARNING_RATE] * factor
    shrink = _shrink(task_squares, hyper[CLIP_NORM]) if kind == UPDATE else 1.0
    # The gradient that nobody will ask for is written where the last one was, and stays in the cache.
    in_passing = kind == GRADIENTS_AND_UPDATE and hyper[SOLVER] != GRADIENT_ONLY
    for i in range(first_task + worker, stop_task, n_workers):
        start, stop = _span(tasks[i], ops)
        at = worker * longest_span if in_passing else start
        if kind != UPDATE:
            _gradient(tasks[i], ops, theta, rows, partials, grad, at, n_chunks, n_batch, in_passing)
            task_penalties[i], task_squares[i] = finish_gradient(
                theta, grad, at, hyper, rate, start, stop, tasks[i, TASK_PENALISED] != 0, weight
            )
        if kind != GRADIENTS:
            update_span(theta, grad, at, first, second, hyper, rate, t, start, stop, weight, shrink)


@compiled(parallel=True)
def run_steps(
    ops: integers_2d,
    phases: integers_2d,
    tables: integers,
    tasks: integers_2d,
    data: reals,
    indices: integers,
    indptr: integers,
    Y: reals_2d,
    weights: reals,
    order: integers,
    batch_size: integer,
    n_parts: integer,
    first_turn: integer,
    stop_turn: integer,
    loss: integer,
    hyper: doubles,
    factors: doubles,
    n_updates: integer,
    seed: integer,
    theta: out,
    grad: out,
    longest_span: integer,
    first: out,
    second: out,
    running: out,
    packed: out,
    workspaces: out_2d,
    scratches: out_2d,
    rows: out,
    partials: out_2d,
    scores: out_2d,
    chunk_losses: doubles_out,
    chunk_weights: doubles_out,
    task_penalties: doubles_out,
    task_squares: doubles_out,
    total_squares: doubles_out,
    step_losses: doubles_out,
    step_weights: doubles_out,
    n_blocks: integer,
    keep_maps: integer,
    n_workers: integer,
):
    """Take the batches of `order` through the network: train if there are tasks, else fill `scores`.

    A step is a sequence of phases, each of n_parts turns; one launch does the turns first_turn..stop_turn.
    The items of a turn, chunks of samples or tasks or vectors of units, are dealt to the workers.
    """
    training, n_phases = len(tasks) > 0, len(phases)
    for turn in range(first_turn, stop_turn):
        step, place = turn // (n_phases * n_parts), turn % n_parts
        phase = phases[turn // n_parts % n_phases]
        kind = phase[PHASE_KIND]
        batch = order[step * batch_size : min(len(order), (step + 1) * batch_size)]
        n_batch, n_chunks = len(batch), (len(batch) + CHUNK - 1) // CHUNK
        t = n_updates + step + 1
        # These, with which no step ends, are done in the first of their turns.
        at_once = kind == PACK or kind == STATISTICS or kind == DELTA_SUMS or kind == SHARED
        if at_once and (place > 0 or (kind == PACK and step > 0 and not training)):
            continue
        for index in prange(n_workers):
            worker = int64(index)  # which is unsigned, and the parts would be compiled once more for that
            if kind == PACK:
                _pack(ops, tables, theta, packed, scratches[worker], running, rows, training, worker, n_workers)
            elif kind == STATISTICS or kind == DELTA_SUMS:
                _statistics(kind, ops[phase[PHASE_START]], rows, partials, running, n_batch, worker, n_workers)
            elif kind == SHARED:
                _forward_shared(
                    ops[phase[PHASE_START]], tables, theta, packed, workspaces, scratches[worker], rows, n_batch,
                    worker, n_workers,
                )  # fmt: skip
            elif kind == FORWARD or kind == THROUGH or kind == BACKWARD:
                first_chunk, stop_chunk = place * n_chunks // n_parts, (place + 1) * n_chunks // n_parts
                _chunks(
                    phase, ops, tables, data, indices, indptr, Y, weights, batch, training, loss, hyper, seed, t,
                    theta, packed, workspaces, scratches, rows, partials, scores, chunk_losses, chunk_weights, n_blocks,
                    keep_maps, first_chunk + worker * (stop_chunk - first_chunk) // n_workers,
                    first_chunk + (worker + 1) * (stop_chunk - first_chunk) // n_workers, worker,
                )  # fmt: skip
            else:
                first_task, stop_task = place * len(tasks) // n_parts, (place + 1) * len(tasks) // n_parts
                _tasks(
                    kind, ops, tasks, hyper, factors[step], t, theta, grad, longest_span, first, second, rows, partials,
                    _total(chunk_weights, n_chunks), n_chunks, n_batch, task_penalties, task_squares,
                    first_task, stop_task, worker, n_workers,
                )  # fmt: skip
        if (turn + 1) % (n_phases * n_parts) == 0 and len(Y) > 0:
            step_weights[step] = _total(chunk_weights, n_chunks)
            step_losses[step] = _total(chunk_losses, n_chunks) / step_weights[step] + _total(task_penalties, len(tasks))
            for i in range(len(tasks)):
                total_squares[i] += task_squares[i]
