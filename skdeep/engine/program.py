"""The words of a block program: what `networks` writes and the loops of the engine read.

A network is a table of operations, one row each, whose columns are named here. Every `*_AT` is an
offset: into the worker's workspace (planes of maps), the batch's rows (dense activations), the flat
vector theta, the packed weights, or the integer tables.

Maps are planes [channel][pixel][lane]: the lanes of a vector are samples, so that one channel costs as
little as sixty-four. Where predictions are of fewer samples than lanes, maps are [pixel][channel], and the
lanes are channels of one sample. Dense activations are rows [sample][unit], padded to whole vectors.
"""

from skdeep.engine import target

# Samples that one worker takes through the whole network at a time: fixed, so that no sum depends on
# the number of threads, and a multiple of the lanes of every machine and dtype.
CHUNK = 16
# Chunks that pass through dense layers side by side, so that the weights come from memory less often; maps have
# room for one.
CHUNKS_TOGETHER = 8

# Vectors at the start of a workspace in which a tile waits for what follows it.
SCRATCH = 32

# The register tiles. Correlations: pixels x channels, one of two widths. Gradients of the weights: taps x
# channels, one of two shapes. With 16 registers they are smaller.
_many = target.VECTOR_REGISTERS == 32
PIXELS, NARROW, WIDE = (4, 4, 6) if _many else (4, 2, 3)
# With channels in the lanes: pixels x vectors of channels.
CHANNEL_VECTORS = 2
SAMPLES_IN_LANES, CHANNELS_IN_LANES = range(2)
HIGH, BROAD = ((5, 4), (4, 6)) if _many else ((4, 3), (3, 4))
TERMS, TERM_CHANNELS = HIGH  # of transformed weights
# Gradients of the weights from the maxima of windows: rows x columns of taps, one of two shapes.
MAXIMA_TILES = ((3, 3), (3, 5)) if _many else ((2, 3), (1, 5))
# Pixels that a gradient of weights sums at a time: what they take of a few channels fits into the nearest cache.
GRADIENT_PIXELS = 2**15 // target.VECTOR_BITS

# Operations on maps, one block of samples after the other, then those on rows.
(
    INPUT_MAPS,
    CONVOLUTION,
    LOCAL,
    MAX_POOL,
    AVERAGE_POOL,
    FORK,
    JOIN,
    ACTIVATE_MAPS,
    NORMALISE_MAPS,
    DROPOUT_MAPS,
    FLATTEN,
    INPUT_ROWS,
    DENSE,
    ACTIVATE,
    NORMALISE,
    DROPOUT,
) = range(16)
(
    KIND,
    ACTIVATION,
    ACROSS,  # channels that lie across a vector of maps: 1, its lanes being samples, or as many as there are lanes
    W_AT,  # weights in theta: convolution [tap][channel], dense [input][output]; scale of a normalisation
    W_STRIDE,  # width of a row of a convolution's weights, all groups side by side
    B_AT,  # bias; shift of a normalisation
    N_INPUTS,  # channels or units
    N_OUTPUTS,
    IN_AT,  # offset of the input: rows of IN_STRIDE numbers, or channels so far apart in the workspace
    IN_STRIDE,
    OUT_AT,  # maps: workspace offset of the output planes; dense: rows
    OUT_STRIDE,  # from a channel to the next, width of an output row
    DELTA_AT,  # gradient by the output: maps in the workspace [channel][window][lane]; dense: rows
    PACKED_AT,  # weights in the order of the register tiles
    TILES_AT,  # tables: first channel of each register tile, those of WIDE before those of NARROW, and the last's end
    N_TILES,
    N_WIDE,
    N_TAPS,
    ROW_TAPS,  # taps along a row of a filter
    TAPS_AT,  # tables: offset of each tap from a pixel; of each feature in the input planes; order of features
    TAP_ROWS_AT,  # tables: row of each tap in the weights
    N_WINDOWS,  # outputs of a channel; a window is what one output pools over
    WINDOW,  # pixels in a window, 1 without pooling
    SLOTS,  # WINDOW rounded up to whole tiles, the last pixel repeated
    PIXELS_AT,  # tables: [window][slot] offset of each pixel: of a convolution in the workspace, else in an input plane
    OUT_PIXELS_AT,  # tables: offset of each window in an output plane
    PIXEL_STEP,  # from a pixel of an input plane to the next, and from a row
    ROW_STEP,
    ARGMAX_AT,  # workspace: which pixel of the window was the largest, laid out as DELTA_AT
    Z_AT,  # workspace: gradient by the convolution's own output, in a frame of zeros; [window] of maxima alone
    Z_STRIDE,
    Z_PIXELS_AT,  # tables: [window][pixel] offset in a plane of Z, or of the gradient by the input; -1 in the padding
    OVERLAPPING,  # windows share pixels, or those of a pool leave some out
    IS_BROAD,  # whether tiles of gradients of weights are BROAD, or else HIGH
    MAXIMA_TILE,  # which of MAXIMA_TILES makes these gradients from the maxima of windows, -1 where all pixels do
    N_PIXELS,
    PIXEL_PAIRS_AT,  # tables: (offset in an input plane, offset in a plane of Z) of each pixel
    BACK_PACKED_AT,  # the transposed weights
    BACK_TILES_AT,
    BACK_N_TILES,
    BACK_N_WIDE,
    BACK_N_TAPS,
    BACK_TAPS_AT,
    BACK_SPANS_AT,  # tables: of each tile of pixels the first tap and the stop, in the window of each output channel
    BACK_TAP_ROWS_AT,
    BACK_N_PIXELS,
    BACK_PIXELS_AT,  # tables: offset in Z of each pixel of the input, padded to whole tiles
    BACK_OUT_PIXELS_AT,  # tables: offset in a plane of the gradient by the input
    ALGORITHM,  # the short correlation whose transformed weights serve instead of the weights, -1 where none does
    WINOGRAD_FORWARD,  # whether the outputs are made from them, and the gradient by the input
    WINOGRAD_BACKWARD,
    WINOGRAD_GRADIENT,  # and that by the weights
    PATCH_ROWS,  # outputs down a patch that is a strip, whose rows only are transformed; 0 where patches are squares
    PATCH_SIZE,  # outputs along a row of a patch, points along that of a transformed one
    POINTS,
    TRANSFORMED_AT,  # the weights at each point, [point][input][output], of strips [point][row of taps][input][output]
    BACK_TRANSFORMED_AT,  # of strips [point][input][row of taps, from the last on][output]
    N_PATCHES,
    PATCHES_TOGETHER,  # patches whose points lie side by side
    PATCHES_AT,  # tables: of each patch the first pixel it sees, in the workspace; then its first in a plane of Z
    PATCH_SPANS_AT,  # tables: the first of each patch's windows among the next, and their end
    PATCH_WINDOWS_AT,  # tables: [window, its offset in an output plane, offset of each of its pixels in the patch]
    PATCH_DELTAS_AT,  # tables: offsets of what a patch sees in a plane of the gradient by the input, -1 in the padding
    Z_ROW_STEP,
    INPUT_DELTA_AT,  # where the gradient by the input goes, -1 where nothing needs it
    SECOND_AT,  # what a join adds: planes in the workspace; the second delta that a fork adds
    SECOND_STRIDE,
    SECOND_PIXELS_AT,
    SLOPE_AT,  # rows: f'(z), of an activation whose slope does not follow from its output, else -1
    CENTRED_AT,  # rows: the input of a normalisation, centred and scaled
    STATISTICS_AT,  # rows: mean, 1 / deviation, sum of deltas, sum of deltas times centred input
    STATISTICS_STRIDE,
    RUNNING_AT,  # running means, then running variances
    DROPPED,  # units whose hash of 32 bits is below are dropped
    LAYER,  # place of the layer that drops them, each of which draws its own
    SPATIAL,  # whether the units of a channel share one hash
    N_COLUMNS,
) = range(77)

# What a step does, one phase after the other: the items of a phase run in parallel. Where samples are few, a SHARED
# phase is one operation, of whose pixels or units each worker takes some.
PACK, FORWARD, SHARED, THROUGH, BACKWARD, STATISTICS, DELTA_SUMS, GRADIENTS, UPDATE, GRADIENTS_AND_UPDATE = range(10)
# START and STOP are operations, TOGETHER the chunks that a worker takes through them side by side.
PHASE_KIND, PHASE_START, PHASE_STOP, PHASE_TOGETHER, N_PHASE_COLUMNS = range(5)

# Loss codes.
(
    SQUARED_ERROR,
    SOFTMAX_CROSS_ENTROPY,
    LOGISTIC_CROSS_ENTROPY,
    POISSON,
    ABSOLUTE_ERROR,
    HUBER,
    QUANTILE,
) = range(7)

# Update codes and the rows of the hyperparameter vector.
GRADIENT_ONLY, SGD, ADAM, RMSPROP = range(4)
(
    SOLVER,
    LEARNING_RATE,
    MOMENTUM,
    NESTEROV,
    BETA_1,
    BETA_2,
    EPSILON,
    ALPHA,  # L2 penalty, divided by the weight of the batch
    L2,  # L2 penalty of the mean loss
    L1,  # L1 penalty of the mean loss
    DECAY,  # shrinks the weights beside the gradient, by DECAY times the learning rate
    CLIP_NORM,  # longest gradient, 0 for any
    LOSS_PARAMETER,  # threshold of the Huber loss, level of the quantile, smoothing of targets that are classes
    N_HYPERPARAMETERS,
) = range(14)

# Tasks of the update: rows of a dense weight matrix, a dense bias, a span of convolution parameters, scale and shift.
DENSE_ROWS, DENSE_BIAS, MAP_SPAN, NORM_SCALE, NORM_SHIFT = range(5)
TASK_KIND, TASK_OPERATION, TASK_START, TASK_STOP, TASK_PENALISED, N_TASK_COLUMNS = range(6)
