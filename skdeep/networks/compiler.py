"""From a network to its block program: the tables that the engine's loops read.

The columns are explained in `skdeep.engine.program`. All geometry ends here: the engine sees lists of
pixels and of taps.
"""

import math
from dataclasses import dataclass

import numpy as np

from skdeep.engine import program as p
from skdeep.engine.activations import ACTIVATIONS, CODES
from skdeep.engine.target import lanes as lanes_of
from skdeep.engine.tiles import (
    ROWS,
    VECS,
)
from skdeep.networks.layers import BatchNorm, Conv2D, Dense, Dropout, MaxPool2D

# Parameters that one task of an update takes: small enough to share among threads, large enough to pay.
TASK_SIZE = 4096
WITH_WEIGHTS = p.CONVOLUTION, p.DENSE


@dataclass(frozen=True)
class BlockProgram:
    """A network compiled for a dtype and a batch size.

    Attributes
    ----------
    ops : int64 array of shape (n_operations, program.N_COLUMNS)
    phases : int64 array of shape (n_phases, program.N_PHASE_COLUMNS)
        What a step does, one after the other.
    tables : int64 array
    tasks : int64 array of shape (n_tasks, program.N_TASK_COLUMNS)
    workspace_size, rows_size, packed_size, n_map_parameters : int
        Lengths of the arrays that the loops need.
    work : int
        Floating-point operations of one sample, forward.
    layer_of : dict
        From an operation with weights to the place of its layer among those with weights.
    longest_span : int
        Parameters of the largest task.
    """

    ops: np.ndarray
    phases: np.ndarray
    tables: np.ndarray
    tasks: np.ndarray
    workspace_size: int
    rows_size: int
    packed_size: int
    n_map_parameters: int
    work: int
    layer_of: dict
    longest_span: int


def compile_network(network, dtype, batch_size, *, training=True, clipping=False):
    """The block program of a network for batches of up to `batch_size` samples.

    One for predictions has no dropout and no tasks. With `clipping`, all gradients come before the update.
    """
    return _Compiler(network, np.dtype(dtype), batch_size, training).compile(clipping)


def _round_up(n, multiple):
    return -(-n // multiple) * multiple


class _Compiler:
    def __init__(self, network, dtype, batch_size, training):
        self.network, self.lanes, self.training = network, lanes_of(dtype), training
        self.n_rows = _round_up(batch_size, p.CHUNK)
        self.ops, self.tables, self.tasks, self.n_table = [], [], [], 0
        self.workspace_size, self.rows_size, self.packed_size = p.SCRATCH * self.lanes, 0, 0
        self.n_map_parameters, self.work, self.longest_span = 0, 0, TASK_SIZE

    def compile(self, clipping):
        maps = [bound for bound in self.network.bound if isinstance(bound.layer, Conv2D)]
        if maps:
            stages = [_Stage(bound, self._pool_after(bound)) for bound in maps]
            rows_at, delta_at, stride = self._maps(stages)
        else:
            n_features = math.prod(self.network.input_shape)
            rows_at, stride = self._rows(n_features)
            order = self._table(self._features().transpose(1, 2, 0)) if len(self.network.input_shape) == 3 else -1
            self._add(KIND=p.INPUT_ROWS, N_INPUTS=n_features, TAPS_AT=order, OUT_AT=rows_at, OUT_STRIDE=stride)
            delta_at = -1
        for bound in self.network.bound:
            if isinstance(bound.layer, Dense):
                rows_at, delta_at, stride = self._dense(bound, rows_at, delta_at, stride)
            elif isinstance(bound.layer, BatchNorm):
                rows_at, delta_at = self._normalisation(bound, rows_at, delta_at, stride)
            elif isinstance(bound.layer, Dropout) and self.training:
                rows_at, delta_at = self._dropout(bound, rows_at, delta_at, stride)
        return BlockProgram(
            np.array(self.ops, np.int64),
            np.array(self._phases(clipping), np.int64),
            np.concatenate([*self.tables, np.zeros(1, np.int64)]),
            np.array(self.tasks, np.int64).reshape(-1, p.N_TASK_COLUMNS),
            self.workspace_size,
            self.rows_size,
            # The loops read whole vectors, a register tile of them at the most.
            self.packed_size + VECS * self.lanes,
            self.n_map_parameters,
            self.work,
            {op: place for place, op in enumerate(i for i, op in enumerate(self.ops) if op[p.KIND] in WITH_WEIGHTS)},
            self.longest_span,
        )

    def _pool_after(self, bound):
        following = self.network.bound[self.network.bound.index(bound) + 1]
        return following if isinstance(following.layer, MaxPool2D) else None

    def _phases(self, clipping):
        """A step goes forward and backward in one piece, but where a normalisation needs all samples at once."""
        n = len(self.ops)
        meetings = [i for i, op in enumerate(self.ops) if op[p.KIND] == p.NORMALISE] if self.training else []
        starts, stops = [0, *meetings], [*meetings, n]
        phases = [(p.PACK, 0, n)]
        for start, stop in zip(starts[:-1], stops[:-1], strict=True):
            phases += [(p.FORWARD, start, stop), (p.STATISTICS, stop, stop + 1)]
        phases.append((p.THROUGH, starts[-1], n))
        for start, stop in reversed(list(zip(starts[:-1], stops[:-1], strict=True))):
            phases += [(p.DELTA_SUMS, stop, stop + 1), (p.BACKWARD, start, stop)]
        if self.training:
            kinds = (p.GRADIENTS, p.UPDATE) if clipping else (p.GRADIENTS_AND_UPDATE,)
            phases += [(kind, 0, n) for kind in kinds]
        return phases

    # ------------------------------------------------------------------------------- memory

    def _add(self, **columns):
        row = np.full(p.N_COLUMNS, -1, np.int64)
        for name, value in columns.items():
            row[getattr(p, name)] = value
        self.ops.append(row)

    def _table(self, values):
        values = np.asarray(values, np.int64).ravel()
        self.tables.append(values)
        self.n_table += values.size
        return self.n_table - values.size

    def _planes(self, n_vectors):
        self.workspace_size += n_vectors * self.lanes
        return self.workspace_size - n_vectors * self.lanes

    def _rows(self, width):
        """Offset and stride of one row of `width` units for each sample of the batch.

        An odd number of vectors, so that a column of rows does not fall on few sets of a cache.
        """
        stride = (-(-width // self.lanes) | 1) * self.lanes
        self.rows_size += stride * self.n_rows
        return self.rows_size - stride * self.n_rows, stride

    def _packed(self, size):
        self.packed_size += size
        return self.packed_size - size

    # ------------------------------------------------------------------------------- layers

    def _features(self):
        """Which number of a sample each (channel, row, column) is."""
        height, width, channels = self.network.input_shape
        order = np.arange(height * width * channels)
        if self.network.data_format == "NHWC":
            return order.reshape(height, width, channels).transpose(2, 0, 1)
        return order.reshape(channels, height, width)

    def _maps(self, stages):
        """Input planes, convolutions and the flattening of the last maps."""
        for stage in stages:
            stage.frame_at = self._planes(stage.frame_size * stage.channels)
        first, last = stages[0], stages[-1]
        features = self._features()
        offsets = np.empty(features.size, np.int64)
        offsets[features.ravel()] = (first.interior().ravel() * self.lanes) + first.frame_at
        self._add(KIND=p.INPUT_MAPS, N_INPUTS=features.size, TAPS_AT=self._table(offsets))

        output_at = self._planes(last.n_windows * last.filters)
        deltas = [self._planes(stage.n_windows * stage.filters) for stage in stages]
        for i, stage in enumerate(stages):
            following = stages[i + 1] if i + 1 < len(stages) else None
            if following is None:
                out = dict(OUT_AT=output_at, OUT_STRIDE=stage.n_windows * self.lanes)
                out["OUT_PIXELS_AT"] = self._table(np.arange(stage.n_windows) * self.lanes)
            else:
                out = dict(OUT_AT=following.frame_at, OUT_STRIDE=following.frame_size * self.lanes)
                out["OUT_PIXELS_AT"] = self._table(following.interior()[0] * self.lanes)
            self._convolution(stage, deltas[i], deltas[i - 1] if i else -1, out)

        n_features = last.n_windows * last.filters
        rows_at, stride = self._rows(n_features)
        delta_at, _ = self._rows(n_features)
        self._add(
            KIND=p.FLATTEN,
            N_INPUTS=last.filters,
            N_WINDOWS=last.n_windows,
            IN_AT=output_at,
            OUT_AT=rows_at,
            OUT_STRIDE=stride,
            DELTA_AT=delta_at,
            INPUT_DELTA_AT=deltas[-1],
        )
        return rows_at, delta_at, stride

    def _convolution(self, stage, delta_at, input_delta_at, out):
        lanes, weights, bias = self.lanes, stage.bound.weights, stage.bound.bias
        group = _group(stage.filters)
        windows = stage.windows()
        slots = _round_up(windows.shape[1], p.PIXELS) if windows.shape[1] > 1 else 1
        tiled = np.pad(windows, ((0, 0), (0, slots - windows.shape[1])), mode="edge")
        if slots == 1:
            tiled = _pad_to(tiled.ravel(), p.PIXELS)
        covered = np.unique(windows)
        z_at = self._planes(stage.z_size * _round_up(stage.filters, p.GRADIENT_CHANNELS))
        columns = dict(
            KIND=p.CONVOLUTION,
            ACTIVATION=CODES[stage.bound.layer.activation],
            W_AT=weights.start,
            B_AT=bias.start,
            N_INPUTS=stage.channels,
            N_OUTPUTS=stage.filters,
            DELTA_AT=delta_at,
            INPUT_DELTA_AT=input_delta_at,
            PACKED_AT=self._packed(_round_up(stage.filters, group) * stage.n_taps),
            GROUP=group,
            N_TAPS=stage.n_taps,
            TAPS_AT=self._table(_pad_to(stage.taps() * lanes, p.TAPS)),
            TAP_ROWS_AT=self._table(stage.tap_rows()),
            N_WINDOWS=len(windows),
            WINDOW=windows.shape[1],
            SLOTS=slots,
            PIXELS_AT=self._table(stage.frame_at + stage.in_frame(tiled) * lanes),
            ARGMAX_AT=self._planes(stage.n_windows * stage.filters) if windows.shape[1] > 1 else -1,
            Z_AT=z_at,
            Z_STRIDE=stage.z_size * lanes,
            Z_PIXELS_AT=self._table(stage.in_z(windows) * lanes),
            OVERLAPPING=covered.size < windows.size,
            N_PIXELS=covered.size,
            PIXEL_PAIRS_AT=self._table(
                np.column_stack([stage.frame_at + stage.in_frame(covered) * lanes, stage.in_z(covered) * lanes])
            ),
        )
        if input_delta_at >= 0:
            back_group = _group(stage.channels)
            n_taps = stage.kernel[0] * stage.kernel[1] * stage.filters
            columns |= dict(
                BACK_GROUP=back_group,
                BACK_N_TAPS=n_taps,
                BACK_PACKED_AT=self._packed(_round_up(stage.channels, back_group) * n_taps),
                BACK_TAPS_AT=self._table(stage.back_taps() * lanes),
                BACK_TAP_ROWS_AT=self._table(stage.back_tap_rows()),
                BACK_N_PIXELS=stage.n_inputs,
                BACK_PIXELS_AT=self._table(_pad_to(z_at + stage.back_pixels() * lanes, p.PIXELS)),
            )
        self._add(**columns, **out)
        operation = len(self.ops) - 1
        for slot, penalised in ((weights, 1), (bias, 0)):
            for start in range(slot.start, slot.stop, TASK_SIZE):
                self.tasks.append([p.MAP_SPAN, operation, start, min(start + TASK_SIZE, slot.stop), penalised])
        self.n_map_parameters = bias.stop
        self.work += 2 * stage.n_taps * stage.filters * windows.size

    def _dense(self, bound, rows_at, delta_at, stride):
        n_in, n_out = bound.weights.shape
        out_at, out_stride = self._rows(n_out)
        out_delta_at, _ = self._rows(n_out)
        self._add(
            KIND=p.DENSE,
            ACTIVATION=CODES[bound.layer.activation],
            W_AT=bound.weights.start,
            B_AT=bound.bias.start,
            N_INPUTS=n_in,
            N_OUTPUTS=n_out,
            IN_AT=rows_at,
            IN_STRIDE=stride,
            OUT_AT=out_at,
            OUT_STRIDE=out_stride,
            DELTA_AT=out_delta_at,
            INPUT_DELTA_AT=delta_at,
            BACK_PACKED_AT=self._packed(n_out * stride) if delta_at >= 0 else -1,
            SLOPE_AT=self._slopes(bound.layer, n_out),
        )
        operation = len(self.ops) - 1
        n_inputs = _round_up(max(1, TASK_SIZE // n_out), ROWS)
        for start in range(0, n_in, n_inputs):
            self.tasks.append([p.DENSE_ROWS, operation, start, min(start + n_inputs, n_in), 1])
        self.longest_span = max(self.longest_span, n_inputs * n_out)
        self.tasks.append([p.DENSE_BIAS, operation, bound.bias.start, bound.bias.stop, 0])
        self.work += 2 * n_in * n_out
        return out_at, out_delta_at, out_stride

    def _slopes(self, layer, width):
        return -1 if ACTIVATIONS[layer.activation].monotone else self._rows(width)[0]

    def _normalisation(self, bound, rows_at, delta_at, stride):
        (width,) = bound.output_shape
        out_at, out_delta_at, centred_at = (self._rows(width)[0] for _ in range(3))
        slope_at, statistics_at = self._slopes(bound.layer, width), self.rows_size
        self.rows_size += 4 * stride
        self._add(
            KIND=p.NORMALISE,
            ACTIVATION=CODES[bound.layer.activation],
            W_AT=bound.weights.start,
            B_AT=bound.bias.start,
            N_OUTPUTS=width,
            IN_AT=rows_at,
            OUT_AT=out_at,
            OUT_STRIDE=stride,
            DELTA_AT=out_delta_at,
            INPUT_DELTA_AT=delta_at,
            SLOPE_AT=slope_at,
            CENTRED_AT=centred_at,
            STATISTICS_AT=statistics_at,
            RUNNING_AT=bound.statistics.start,
        )
        operation = len(self.ops) - 1
        self.tasks.append([p.NORM_SCALE, operation, bound.weights.start, bound.weights.stop, 0])
        self.tasks.append([p.NORM_SHIFT, operation, bound.bias.start, bound.bias.stop, 0])
        return out_at, out_delta_at

    def _dropout(self, bound, rows_at, delta_at, stride):
        (width,) = bound.output_shape
        out_at, out_delta_at = (self._rows(width)[0] for _ in range(2))
        self._add(
            KIND=p.DROPOUT,
            N_INPUTS=width,
            IN_AT=rows_at,
            OUT_AT=out_at,
            OUT_STRIDE=stride,
            DELTA_AT=out_delta_at,
            INPUT_DELTA_AT=delta_at,
            DROPPED=min(round(bound.layer.rate * 2**32), 2**32 - 1),
        )
        return out_at, out_delta_at


def _group(n_channels):
    """The width of register tile that wastes fewer channels."""
    return min((p.WIDE, p.NARROW), key=lambda group: (_round_up(n_channels, group), -group))


def _pad_to(values, multiple):
    return np.pad(values, (0, -values.size % multiple), mode="edge")


class _Stage:
    """The geometry of a convolution and the pool behind it, in pixels.

    The frame is the input map within its padding; Z is the map of the convolution's own outputs,
    spread by the stride, within as many zeros as the transposed convolution reaches.
    """

    def __init__(self, bound, pool):
        self.bound = bound
        height, width, self.channels = bound.input_shape
        grid = bound.layer.grid(bound.input_shape)
        self.kernel, self.stride, self.before = grid.size, grid.stride, grid.before
        self.input, self.outputs, self.filters = (height, width), grid.count, bound.layer.filters
        self.frame = tuple(n + b + a for n, b, a in zip(self.input, grid.before, grid.after, strict=True))
        self.z = tuple(n + k - 1 for n, k in zip(self.frame, self.kernel, strict=True))
        self.pool = pool and pool.layer.grid(pool.input_shape)
        self.n_windows = int(np.prod(self.pool.count if pool else self.outputs))
        self.n_taps = self.kernel[0] * self.kernel[1] * self.channels
        self.n_inputs = height * width
        self.frame_size, self.z_size = int(np.prod(self.frame)), int(np.prod(self.z))

    def interior(self):
        """Positions of the input's pixels in the frames, (channel, pixel)."""
        row, column = np.divmod(np.arange(self.n_inputs), self.input[1])
        pixels = (row + self.before[0]) * self.frame[1] + column + self.before[1]
        return np.arange(self.channels)[:, None] * self.frame_size + pixels

    def windows(self):
        """Outputs of the convolution in each pooling window, (window, pixel); one pixel each without a pool."""
        if self.pool is None:
            return np.arange(self.n_windows)[:, None]
        row, column = np.divmod(np.arange(self.n_windows)[:, None], self.pool.count[1])
        r, c = np.divmod(np.arange(self.pool.size[0] * self.pool.size[1]), self.pool.size[1])
        return (row * self.pool.stride[0] + r) * self.outputs[1] + column * self.pool.stride[1] + c

    def in_frame(self, outputs):
        """Where the filter lies in the frame for each output."""
        row, column = np.divmod(outputs, self.outputs[1])
        return row * self.stride[0] * self.frame[1] + column * self.stride[1]

    def in_z(self, outputs):
        """Where each output lies in Z."""
        row, column = np.divmod(outputs, self.outputs[1])
        return (row * self.stride[0] + self.kernel[0] - 1) * self.z[1] + column * self.stride[1] + self.kernel[1] - 1

    def _taps(self, n_planes):
        """Plane, row and column of each weight, the plane slowest."""
        return np.indices((n_planes, *self.kernel)).reshape(3, -1)

    def taps(self):
        """Offsets in the frames from an output's place to what each weight multiplies."""
        channel, r, s = self._taps(self.channels)
        return channel * self.frame_size + r * self.frame[1] + s

    def tap_rows(self):
        """Offsets of the taps' weights in (row, column, input channel, output channel) order."""
        channel, r, s = self._taps(self.channels)
        return ((r * self.kernel[1] + s) * self.channels + channel) * self.filters

    def back_taps(self):
        """Offsets in Z from an input pixel's place to the outputs that it took part in."""
        k, r, s = self._taps(self.filters)
        return k * self.z_size + (self.kernel[0] - 1 - r) * self.z[1] + self.kernel[1] - 1 - s

    def back_tap_rows(self):
        k, r, s = self._taps(self.filters)
        return (r * self.kernel[1] + s) * self.channels * self.filters + k

    def back_pixels(self):
        """Places of the input's pixels in Z."""
        row, column = np.divmod(np.arange(self.n_inputs), self.input[1])
        return (row + self.before[0]) * self.z[1] + column + self.before[1]
