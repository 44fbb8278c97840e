"""From a network to its block program: the tables that the engine's loops read.

The columns are explained in `skdeep.engine.program`, the offsets of pixels come from `geometry`.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np

from skdeep.engine import program as p
from skdeep.engine.activations import ACTIVATIONS, CODES
from skdeep.engine.dense import UNITS
from skdeep.engine.target import lanes as lanes_of
from skdeep.engine.tiles import (
    ROWS,
    VECS,
)
from skdeep.networks.convolution import convolution_columns
from skdeep.networks.geometry import pixels_in_windows
from skdeep.networks.layers import (
    Activation,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Fork,
    GlobalAvgPool2D,
    Join,
    LocallyConnected2D,
    MaxPool2D,
)
from skdeep.networks.space import Maps, Rows, Space, pad_to, round_up
from skdeep.networks.winograd import patches

# Parameters that one task of an update takes: small enough to share among threads, large enough to pay.
TASK_SIZE = 4096
# Weights from which a dense layer on few samples is shared: a launch takes about as long as half of them.
SHARED_WEIGHTS = 2**16
# Operations that work on the workspace of a chunk.
ON_MAPS = range(p.INPUT_MAPS, p.FLATTEN + 1)


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
    workspace_size, scratch_size, rows_size, packed_size, n_map_parameters : int
        Lengths of the arrays that the loops need.
    work : int
        Floating-point operations of one sample, forward.
    layer_of : dict
        From an operation with weights to the place of its layer among those with weights.
    longest_span : int
        Parameters of the largest task.
    n_blocks : int
        Blocks of samples in a chunk, each with a workspace.
    keep_maps : bool
        Whether each chunk of a batch needs workspaces of its own.
    """

    ops: np.ndarray
    phases: np.ndarray
    tables: np.ndarray
    tasks: np.ndarray
    workspace_size: int
    scratch_size: int
    rows_size: int
    packed_size: int
    n_map_parameters: int
    work: int
    layer_of: dict
    longest_span: int
    n_blocks: int
    keep_maps: bool


@functools.lru_cache(maxsize=16)  # a prediction finds the program of the last one
def compile_network(network, dtype, batch_size, *, training=True, clipping=False):
    """The block program of a network for batches of up to `batch_size` samples.

    One for predictions has no deltas and no tasks, and takes a network made for them. With `clipping`, all
    gradients come before the update.
    """
    return _Compiler(network, np.dtype(dtype), batch_size, training).compile(clipping)


class _Compiler:
    def __init__(self, network, dtype, batch_size, training):
        self.network, self.lanes, self.training = network, lanes_of(dtype), training
        self.across = 1 if training else _channels_across(network, self.lanes, batch_size)
        self.batch_size, self.space = batch_size, Space(self.lanes, self.across, batch_size, training)
        self.ops, self.tasks, self.layer_of = [], [], {}
        self.n_map_parameters, self.work, self.longest_span = 0, 0, TASK_SIZE
        # What each bound layer puts out, at -1 the network's input; and the deltas of shortcuts, by their forks.
        self.values, self.short_deltas = {}, {}

    def compile(self, clipping):
        layers = self.network.bound
        self._lay_out()
        self._input()
        for i, bound in enumerate(layers):
            self._emit(i, bound)
        last = self._rows_from(len(layers) - 1)
        if not self.training:  # where a loss leaves its gradient, whether or not somebody asks for it
            self.ops[-1][p.DELTA_AT] = self.space.row_space(last.width)[0]
        phases = self._phases(clipping)
        return BlockProgram(
            np.array(self.ops, np.int64),
            np.array(phases, np.int64),
            np.concatenate([*self.space.tables, np.zeros(1, np.int64)]),
            np.array(self.tasks, np.int64).reshape(-1, p.N_TASK_COLUMNS),
            self.space.workspace_size,
            self.space.scratch_size,
            self.space.rows_size,
            # The loops read whole vectors, a register tile of them at the most.
            self.space.packed_size + VECS * self.lanes,
            self.n_map_parameters,
            self.work,
            self.layer_of,
            self.longest_span,
            p.CHUNK // self.lanes if self.across == 1 else self.batch_size,
            self._on_maps() and any(kind in (p.FORWARD, p.SHARED) for kind, *_ in phases),
        )

    def _phases(self, clipping):
        """A step goes forward and backward in one piece, but where a normalisation needs all samples at once.

        Where samples are too few to share them, the workers share single operations.
        """
        n, normalisations = len(self.ops), (p.NORMALISE, p.NORMALISE_MAPS)
        meetings = [i for i, op in enumerate(self.ops) if op[p.KIND] in normalisations] if self.training else []
        shared = [i for i, op in enumerate(self.ops) if self.across > 1 and _is_shared(op)]
        starts, stops = [0, *meetings], [*meetings, n]
        phases = [(p.PACK, 0, n)]
        for i in shared:
            phases += [(p.FORWARD, starts[-1], i)] if i > starts[-1] else []
            phases.append((p.SHARED, i, i + 1))
            starts[-1] = i + 1
        for start, stop in zip(starts[:-1], stops[:-1], strict=True):
            phases += [(p.FORWARD, start, stop), (p.STATISTICS, stop, stop + 1)]
        phases.append((p.THROUGH, starts[-1], n))
        for start, stop in reversed(list(zip(starts[:-1], stops[:-1], strict=True))):
            phases += [(p.DELTA_SUMS, stop, stop + 1), (p.BACKWARD, start, stop)]
        if self.training:
            kinds = (p.GRADIENTS, p.UPDATE) if clipping else (p.GRADIENTS_AND_UPDATE,)
            phases += [(kind, 0, n) for kind in kinds]
        # The normalisation behind a phase belongs to it by half.
        on_maps = [op[p.KIND] in ON_MAPS for op in self.ops]
        return [(kind, i, j, 1 if any(on_maps[i : j + 1]) else p.CHUNKS_TOGETHER) for kind, i, j in phases]

    def _add(self, **columns):
        row = np.full(p.N_COLUMNS, -1, np.int64)
        for name, value in columns.items():
            row[getattr(p, name)] = value
        self.ops.append(row)

    def _weights_of(self, bound):
        """The operation just added is the first, or the only one, of a layer with weights."""
        self.layer_of[len(self.ops) - 1] = self.network.with_weights.index(bound)
        self.work += 2 * bound.layer.multiply_adds(bound.input_shape)

    def _span_tasks(self, bound):
        """Updates of parameters whose gradients are sums over chunks."""
        for slot, penalised in ((bound.weights, 1), (bound.bias, 0)):
            for start in range(slot.start, slot.stop, TASK_SIZE):
                stop = min(start + TASK_SIZE, slot.stop)
                self.tasks.append([p.MAP_SPAN, len(self.ops) - 1, start, stop, penalised])
        self.n_map_parameters = bound.bias.stop

    # ------------------------------------------------------------------------ where maps and their deltas lie

    def _lay_out(self):
        """Planes for all maps, with the margins that their readers need."""
        layers = self.network.bound
        if not layers or (len(layers[0].output_shape) != 3 and not isinstance(layers[0].layer, GlobalAvgPool2D)):
            return
        self.values[-1] = Maps(self.space.planes(self.network.input_shape, in_vectors=False), -1)
        for i, bound in enumerate(layers):
            if len(bound.output_shape) == 3 and not self._takes_pool(i):
                shared = isinstance(bound.layer, Fork)
                planes = self.values[bound.source].planes if shared else self.space.planes(bound.output_shape)
                self.values[i] = Maps(planes)
            if isinstance(bound.layer, Conv2D | LocallyConnected2D):
                cut = self._patches(bound)
                overhang = (0, 0) if cut is None else cut.overhang
                self.values[bound.source].planes.make_room(bound.layer.grid(bound.input_shape), overhang)
        for i in reversed(range(len(layers))):
            if i in self.values:
                self._lay_out_delta(i, layers[i])
        for maps in self.values.values():
            if maps.planes.at is None:
                self.space.place(maps.planes)

    def _lay_out_delta(self, i, bound):
        """What is added has the delta of the sum, which is where both ways of a residual block find theirs."""
        maps = self.values[i]
        if maps.delta_at is None:
            maps.delta_at = -1 if self._is_input(i) else self.space.delta(bound.output_shape)
        if isinstance(bound.layer, Fork) and i not in self.short_deltas:
            self.short_deltas[i] = -1 if self._is_input(i) else self.space.delta(bound.output_shape)
        if isinstance(bound.layer, Join):
            of_sum = maps.delta_at if bound.layer.activation == "identity" else self.space.delta(bound.output_shape)
            self.values[bound.source].delta_at = of_sum
            if isinstance(self.network.bound[bound.second].layer, Fork):
                self.short_deltas[bound.second] = of_sum
            else:
                self.values[bound.second].delta_at = of_sum

    def _on_maps(self):
        """Whether the network begins with maps."""
        return self.ops[0][p.KIND] == p.INPUT_MAPS

    def _is_input(self, i):
        """Whether a bound layer only hands on the network's input, by which nobody needs a gradient."""
        return i < 0 or (isinstance(self.network.bound[i].layer, Fork) and self._is_input(self.network.bound[i].source))

    def _takes_pool(self, i):
        """Whether the pool behind a layer is part of it: taken before the activation, with which it commutes.

        A normalisation takes one whose windows are all pixels, each once: by all it moves the deltas.
        """
        layers = self.network.bound
        if i < 0 or i + 1 == len(layers) or not isinstance(layers[i + 1].layer, MaxPool2D):
            return False
        layer, pool = layers[i].layer, layers[i + 1]
        takes = isinstance(layer, Conv2D) or (isinstance(layer, BatchNorm) and _is_partition(_pool_windows(pool), pool))
        return takes and ACTIVATIONS[layer.activation].monotone

    def _patches(self, bound):
        """The patches of a convolution whose weights may be transformed, else None."""
        if not isinstance(bound.layer, Conv2D):
            return None
        n_in, n_out = bound.weights.shape[2], bound.weights.shape[3] // bound.layer.groups
        return patches(bound.layer.grid(bound.input_shape), bound.input_shape, n_in, n_out, self.lanes)

    def _input_delta(self, i, bound):
        """Where layer i leaves the gradient by its input."""
        if bound.source in self.short_deltas and i != bound.source + 1:
            return self.short_deltas[bound.source]
        return self.values[bound.source].delta_at

    # ------------------------------------------------------------------------------- operations

    def _input(self):
        shape = self.network.input_shape
        if -1 in self.values:
            planes = self.values[-1].planes
            features = self._features()
            offsets = np.empty(features.size, np.int64)
            offsets[features.ravel()] = planes.at + planes.pixels(np.arange(shape[2])).ravel()
            self._add(KIND=p.INPUT_MAPS, N_INPUTS=features.size, TAPS_AT=self.space.table(offsets), ACROSS=self.across)
        else:
            n_features = math.prod(shape)
            at, stride = self.space.row_space(n_features)
            self.values[-1] = Rows(n_features, stride, at, -1)
            order = self.space.table(self._features().transpose(1, 2, 0)) if len(shape) == 3 else -1
            self._add(
                KIND=p.INPUT_ROWS,
                N_INPUTS=n_features,
                N_OUTPUTS=n_features,
                TAPS_AT=order,
                OUT_AT=at,
                OUT_STRIDE=stride,
            )

    def _features(self):
        """Which number of a sample each (channel, row, column) is."""
        height, width, channels = self.network.input_shape
        order = np.arange(height * width * channels)
        if self.network.data_format == "NHWC":
            return order.reshape(height, width, channels).transpose(2, 0, 1)
        return order.reshape(channels, height, width)

    def _emit(self, i, bound):
        """The operations of a bound layer."""
        layer = bound.layer
        if isinstance(layer, Dense):
            self.values[i] = self._dense(bound, self._rows_from(bound.source))
        elif isinstance(layer, Flatten):
            self.values[i] = self._rows_from(bound.source)
        elif self._takes_pool(i):
            self.values[i] = None  # the pool will bring it
        elif isinstance(layer, Conv2D):
            self._convolution(i, bound, self.values[i])
        elif self._takes_pool(i - 1):
            takes = self.network.bound[i - 1]
            emit = self._convolution if isinstance(takes.layer, Conv2D) else self._pointwise_maps
            emit(i - 1, takes, self.values[i], bound)
        elif isinstance(layer, LocallyConnected2D):
            self._locally_connected(i, bound)
        elif isinstance(layer, MaxPool2D | AvgPool2D | GlobalAvgPool2D):
            self._pool(i, bound)
        elif isinstance(layer, Fork | Join):
            self._residual(i, bound)
        elif len(bound.input_shape) == 3:
            self._pointwise_maps(i, bound, self.values[i])
        else:
            self.values[i] = self._pointwise_rows(bound, self._rows_from(bound.source))

    # ------------------------------------------------------------------------------ operations on maps

    def _map_operation(self, kind, source, out, input_delta_at, **columns):
        """An operation from maps to maps, each pixel of the output from a window of the input."""
        before, after = source.planes, out.planes
        common = dict(
            KIND=kind,
            ACROSS=self.across,
            N_INPUTS=before.shape[2],
            N_OUTPUTS=after.shape[2],
            IN_AT=before.at,
            IN_STRIDE=before.channel_step,
            OUT_AT=after.at,
            OUT_STRIDE=after.channel_step,
            OUT_PIXELS_AT=self.space.table(pad_to(after.pixels(), p.PIXELS)),
            N_WINDOWS=after.n_pixels,
            N_PIXELS=before.n_pixels,
            DELTA_AT=out.delta_at,
            INPUT_DELTA_AT=input_delta_at,
        )
        self._add(**common | columns)

    def _before_activation(self, layer, out):
        """Where z = x * w + b goes and what follows at once: backward, f'(z) mostly comes from f(z) alone."""
        if ACTIVATIONS[layer.activation].monotone or not self.training:
            return out, layer.activation
        return self.space.maps(out.planes.shape), "identity"

    def _activate_maps(self, activation, z, out):
        """f(z), unless it is there already."""
        if z is not out:
            pixels = self.space.table(z.planes.pixels())
            from_z = -1 if ACTIVATIONS[activation].monotone else 0
            columns = dict(ACTIVATION=CODES[activation], PIXELS_AT=pixels, SLOPE_AT=from_z)
            self._map_operation(p.ACTIVATE_MAPS, z, out, z.delta_at, **columns)

    def _convolution(self, i, bound, out, pool=None):
        """One operation for each group of channels."""
        source, layer = self.values[bound.source], bound.layer
        z, activation = self._before_activation(layer, out)
        input_delta_at, cut = self._input_delta(i, bound), self._patches(bound)
        windows = np.arange(z.planes.n_pixels)[:, None] if pool is None else _pool_windows(pool)
        for group in range(layer.groups):
            columns = convolution_columns(
                self.space, bound, source.planes, z.planes, windows, group, input_delta_at, cut
            )
            n_out = columns["N_OUTPUTS"]
            columns["OUT_AT"] = z.planes.at + group * n_out * z.planes.channel_step
            if z.delta_at >= 0:
                columns["DELTA_AT"] = z.delta_at + group * n_out * z.planes.n_pixels * self.lanes
            self._map_operation(p.CONVOLUTION, source, z, input_delta_at, ACTIVATION=CODES[activation], **columns)
            if group == 0:
                self._weights_of(bound)
                self._span_tasks(bound)
        self._activate_maps(layer.activation, z, out)

    def _locally_connected(self, i, bound):
        source, out, grid = self.values[bound.source], self.values[i], bound.layer.grid(bound.input_shape)
        z, activation = self._before_activation(bound.layer, out)
        channels, planes = np.arange(bound.input_shape[2]), source.planes
        inside = pixels_in_windows(grid, bound.input_shape)[:, :, None]
        inside = np.where(inside < 0, -1, (channels * planes.n_pixels + inside) * self.lanes)
        self._map_operation(
            p.LOCAL,
            source,
            z,
            self._input_delta(i, bound),
            ACTIVATION=CODES[activation],
            W_AT=bound.weights.start,
            B_AT=bound.bias.start,
            N_TAPS=inside[0].size,
            TAPS_AT=self.space.table(planes.taps(grid, channels).T),
            PIXELS_AT=self.space.table(planes.at + planes.windows(grid)),
            Z_PIXELS_AT=self.space.table(inside),
        )
        self._weights_of(bound)
        self._span_tasks(bound)
        self._activate_maps(bound.layer.activation, z, out)

    def _pool(self, i, bound):
        source, layer = self.values[bound.source], bound.layer
        if isinstance(layer, GlobalAvgPool2D):
            self.values[i] = self.space.maps((1, 1, *bound.output_shape))
        out, pixels = self.values[i], _pool_windows(bound)
        is_maximum = isinstance(layer, MaxPool2D)
        n_outputs = out.planes.n_pixels * out.planes.shape[2]
        self._map_operation(
            p.MAX_POOL if is_maximum else p.AVERAGE_POOL,
            source,
            out,
            self._input_delta(i, bound),
            WINDOW=pixels.shape[1],
            PIXELS_AT=self.space.table(source.planes.pixels()[pixels]),
            Z_PIXELS_AT=self.space.offsets(pixels),
            OVERLAPPING=not _is_partition(pixels, bound),
            ARGMAX_AT=self.space.vectors(n_outputs) if is_maximum and self.training else -1,
        )

    def _residual(self, i, bound):
        source, out, activation = self.values[bound.source], self.values[i], getattr(bound.layer, "activation", None)
        if isinstance(bound.layer, Fork):
            second = dict(SECOND_AT=self.short_deltas[i])
            self._map_operation(p.FORK, source, out, self._input_delta(i, bound), **second)
            return
        added = self.values[bound.second].planes
        total = Maps(out.planes, source.delta_at)
        if self.training and not ACTIVATIONS[activation].monotone:
            total.planes = self.space.maps(bound.output_shape).planes
        self._map_operation(
            p.JOIN,
            source,
            total,
            -1,
            PIXELS_AT=self.space.table(source.planes.pixels()),
            SECOND_AT=added.at,
            SECOND_STRIDE=added.channel_step,
            SECOND_PIXELS_AT=self.space.table(added.pixels()),
        )
        if activation != "identity":
            self._activate_maps(activation, total, out)

    def _pointwise_maps(self, i, bound, out, pool=None):
        source, layer = self.values[bound.source], bound.layer
        windows = np.arange(source.planes.n_pixels)[:, None] if pool is None else _pool_windows(pool)
        columns = dict(PIXELS_AT=self.space.table(source.planes.pixels()[windows]))
        if isinstance(layer, Dropout):
            columns |= self._dropout(bound)
        else:
            # To normalise once more is faster than to read the output, which has left the cache.
            by_sign = isinstance(layer, BatchNorm) and layer.activation in ("identity", "relu", "leaky_relu")
            from_z = by_sign or not ACTIVATIONS[layer.activation].monotone
            columns |= dict(ACTIVATION=CODES[layer.activation], SLOPE_AT=0 if from_z else -1)
        if isinstance(layer, BatchNorm):
            columns |= self._normalisation(bound)
            columns |= dict(WINDOW=windows.shape[1], Z_PIXELS_AT=self.space.offsets(windows))
            if pool is not None and self.training:
                columns |= dict(ARGMAX_AT=self.space.vectors(out.planes.n_pixels * out.planes.shape[2]))
            self.n_map_parameters = bound.bias.stop
        kinds = {Activation: p.ACTIVATE_MAPS, BatchNorm: p.NORMALISE_MAPS, Dropout: p.DROPOUT_MAPS}
        self._map_operation(kinds[type(layer)], source, out, self._input_delta(i, bound), **columns)

    # ------------------------------------------------------------------------------ operations on rows

    def _rows_from(self, i):
        """The output of a layer as rows; maps are flattened."""
        maps = self.values[i]
        if isinstance(maps, Maps):
            rows = self.space.rows(maps.planes.shape[2] * maps.planes.n_pixels)
            self._map_operation(
                p.FLATTEN,
                maps,
                maps,
                maps.delta_at,
                PIXELS_AT=self.space.table(maps.planes.pixels()),
                N_OUTPUTS=rows.width,
                OUT_AT=rows.at,
                OUT_STRIDE=rows.stride,
                DELTA_AT=rows.delta_at,
            )
            self.values[i] = rows
        return self.values[i]

    def _row_operation(self, kind, source, width, **columns):
        """An operation from rows to rows of so many units."""
        out = self.space.rows(width)
        self._add(
            KIND=kind,
            N_INPUTS=source.width,
            N_OUTPUTS=width,
            IN_AT=source.at,
            IN_STRIDE=source.stride,
            OUT_AT=out.at,
            OUT_STRIDE=out.stride,
            DELTA_AT=out.delta_at,
            INPUT_DELTA_AT=source.delta_at,
            **columns,
        )
        return out

    def _activation(self, layer, width):
        """The columns of an activation, with a place for its slope where the output does not tell it."""
        slope_at = -1 if ACTIVATIONS[layer.activation].monotone else self.space.row_space(width)[0]
        return dict(ACTIVATION=CODES[layer.activation], SLOPE_AT=slope_at)

    def _dense(self, bound, source):
        n_in, n_out = bound.weights.shape
        out = self._row_operation(
            p.DENSE,
            source,
            n_out,
            W_AT=bound.weights.start,
            B_AT=bound.bias.start,
            **self._activation(bound.layer, n_out),
        )
        self._weights_of(bound)
        operation = len(self.ops) - 1
        if source.delta_at >= 0:  # deltas by outputs and by some inputs, samples in the lanes
            n_samples = p.CHUNK * min(-(-self.batch_size // p.CHUNK), p.CHUNKS_TOGETHER)
            self.space.scratch((round_up(n_out, self.lanes) + UNITS) * n_samples // self.lanes)
        # Whole register tiles of the gradient.
        n_inputs = round_up(max(1, TASK_SIZE // n_out), 2 * ROWS)
        for start in range(0, n_in, n_inputs):
            self.tasks.append([p.DENSE_ROWS, operation, start, min(start + n_inputs, n_in), 1])
        self.longest_span = max(self.longest_span, n_inputs * n_out)
        self.tasks.append([p.DENSE_BIAS, operation, bound.bias.start, bound.bias.stop, 0])
        return out

    def _normalisation(self, bound):
        """The columns that a normalisation of rows shares with one of maps, and its tasks."""
        at, stride = self.space.statistics(*bound.weights.shape)
        for kind, slot in ((p.NORM_SCALE, bound.weights), (p.NORM_SHIFT, bound.bias)):
            self.tasks.append([kind, len(self.ops), slot.start, slot.stop, 0])
        self.longest_span = max(self.longest_span, *bound.weights.shape)
        return dict(
            W_AT=bound.weights.start,
            B_AT=bound.bias.start,
            STATISTICS_AT=at,
            STATISTICS_STRIDE=stride,
            RUNNING_AT=bound.statistics.start,
        )

    def _dropout(self, bound):
        """The columns of a dropout: of all hashes of 32 bits, those below a number drop a unit."""
        dropped = min(round(bound.layer.rate * 2**32), 2**32 - 1)
        return dict(DROPPED=dropped, LAYER=self.network.bound.index(bound), SPATIAL=int(bound.layer.spatial))

    def _pointwise_rows(self, bound, source):
        layer, width = bound.layer, source.width
        if isinstance(layer, Dropout):
            return self._row_operation(p.DROPOUT, source, width, **self._dropout(bound))
        columns = self._activation(layer, width)
        if isinstance(layer, Activation):
            return self._row_operation(p.ACTIVATE, source, width, **columns)
        columns |= self._normalisation(bound) | dict(CENTRED_AT=self.space.row_space(width)[0])
        return self._row_operation(p.NORMALISE, source, width, **columns)


def _pool_windows(bound):
    """The pixels of each window of a pool, array of shape (n_windows, n_pixels_of_a_window)."""
    return pixels_in_windows(bound.layer.grid(bound.input_shape), bound.input_shape)


def _is_partition(windows, bound):
    """Whether each pixel of a pool's input is in one window."""
    return np.unique(windows).size == windows.size == math.prod(bound.input_shape[:2])


def _is_shared(op):
    """Whether the workers share an operation on few samples: every convolution, and products with many weights."""
    is_large = op[p.N_INPUTS] * op[p.N_OUTPUTS] >= SHARED_WEIGHTS
    return op[p.KIND] == p.CONVOLUTION or (op[p.KIND] == p.DENSE and is_large)


def _channels_across(network, lanes, batch_size):
    """How many channels lie across a vector: 1 where its lanes are samples, or all, whichever takes fewer vectors."""
    own, padded = 0, 0
    for bound in network.bound:
        if isinstance(bound.layer, Conv2D | LocallyConnected2D):
            n_filters = bound.layer.filters // getattr(bound.layer, "groups", 1)
            work = bound.layer.multiply_adds(bound.input_shape)
            own, padded = own + work, padded + work / n_filters * round_up(n_filters, lanes)
    return lanes if batch_size * padded < lanes * own else 1
