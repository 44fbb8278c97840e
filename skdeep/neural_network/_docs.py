"""What the docstrings of all networks have in common: `%(name)s` in a docstring stands for a text below."""

TEXTS = {
    "architecture": """
filters : int or sequence of int, default=(6, 16)
    Output channels of each convolution.
kernel_size : int, (int, int) or list, default=5
    Height and width of the filters. Here and in the next parameters a tuple is (height, width), a
    list has one entry for each convolution.
stride : int, (int, int) or list, default=1
    Steps between the windows of a convolution.
padding : {"same", "valid"}, int, (int, int) or list, default="same"
    Zeros around the maps.
dilation : int, (int, int) or list, default=1
    Steps between the pixels of a window.
groups : int or list, default=1
    Parts of the channels that are connected within themselves only.
pool : {"max", "avg"}, None or list, default="max"
    What follows each convolution.
pool_size : int, (int, int) or list, default=2
    Height and width of the pools.
pool_stride : int, (int, int), list or None, default=None
    Steps between pools; None sets them side by side.
global_pool : {"avg", "max"} or None, default=None
    What makes one number of each channel before the dense layers.
conv_batch_norm : bool or list, default=False
    Whether convolutions are normalised over the batch, before the activation (Ioffe & Szegedy, 2015).
conv_dropout : float or list, default=0.0
    Probability with which a channel is off for a sample in training, behind each pool (Tompson et al., 2015).
residual : bool or list, default=False
    Whether a convolution becomes a residual block of two (He et al., 2016): x + g(x), of which the first
    has the stride.
locally_connected : bool or list, default=False
    Whether a convolution has filters of its own at each place, instead of shared ones.
hidden_layer_sizes : int or sequence of int, default=(120, 84)
    Units of the dense layers before the output.
layers : list of Layer, or of (name, Layer), or None, default=None
    Objects of `skdeep.networks`, from the first layer to the last hidden one; they replace all
    parameters above. With names, ``set_params(conv1__filters=32)`` reaches them.
image_shape : (int, int), (int, int, int) or None, default=None
    Height, width and, in the order of `data_format`, channels of the images in a two-dimensional
    X. None: what X's own dimensions say; else a square, if the features make one, or one row.
data_format : {"NHWC", "NCHW"}, default="NHWC"
    How X and `image_shape` are read, channels last or first. The results are the same numbers.
augment : dict or None, default=None
    Random changes of the training images, drawn anew in each epoch: any of ``{"shift": pixels or (down, across),
    "flip": "horizontal", "vertical" or "both", "rotate": degrees, "cutout": pixels, "mixup": alpha}``. An image is
    mirrored, then turned, then shifted, and at last a square of it cut out (DeVries & Taylor, 2017); what comes in
    is zero, so let zero be the background. Mixup (Zhang et al., 2018) takes the mean, weighted by a draw from
    Beta(alpha, alpha), with another sample and its target. The draws are a hash of seed, epoch and sample: they
    are the same for any number of threads.
activation : {"identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus"} or \
        sequence, default="relu"
    The units' function, one for all or one for each convolution and hidden layer.
""",
    "training": """
solver : {"sgd", "adam", "adamw", "rmsprop", "lbfgs"}, default="adam"
    Stochastic gradient descent with momentum; Adam (Kingma & Ba, 2015); Adam with decoupled weight decay
    (Loshchilov & Hutter, 2019); RMSprop (Tieleman & Hinton, 2012) with the decay `beta_2`, corrected for its
    start; or L-BFGS on all samples at once (Liu & Nocedal, 1989), for small data.
alpha : float, default=0.0001
    Strength of the L2 penalty ``alpha |W|^2 / 2``, divided by the weight of the batch: smaller batches are
    penalised more. `weight_decay` is not.
batch_size : int or "auto", default=%(batch_size)s
    Samples of a minibatch; "auto" is min(200, n_samples). "lbfgs" uses none.
learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
    Of "sgd" only. "invscaling" divides by ``(samples seen + 1) ** power_t``; "adaptive" divides by 5 whenever
    there is no progress, until 1e-6.
learning_rate_init : float, default=0.001
    Step size.
power_t : float, default=0.5
    Exponent of "invscaling".
max_iter : int, default=%(max_iter)s
    Epochs, or iterations of "lbfgs", at most.
shuffle : bool, default=True
    Whether each epoch takes the samples in a new order.
random_state : int, RandomState instance or None, default=None
    Source of the initial weights, of the split for early stopping, of the order of samples, of dropout and
    of augmentation.
tol : float, default=0.0001
    Progress of the loss, or of the validation score, below which an epoch counts as idle; for "lbfgs", the
    largest component of the gradient at which it stops.
verbose : bool, default=False
    Whether to print the loss of each epoch.
warm_start : bool, default=False
    Whether `fit` goes on from the last fit: from its weights and, where the solver is the same, from its
    velocities or moments, which scikit-learn forgets. A network that a `Checkpoint` has saved within a fit goes on
    with that fit as if it had not been stopped.
momentum : float, default=0.9
    Of "sgd", in [0, 1].
nesterovs_momentum : bool, default=True
    Whether "sgd" looks a step ahead (Nesterov, 1983).
early_stopping : bool, default=False
    Whether progress is measured on validation data, which are `X_val` of `fit` or a random part of X. Not for
    "lbfgs".
validation_fraction : float, default=0.1
    Share of X that early stopping sets aside, in [0, 1).
beta_1, beta_2 : float, default=0.9, 0.999
    Decay rates of the running means of "adam" and "adamw", in [0, 1).
epsilon : float, default=1e-8
    Added to the denominator of "adam", "adamw" and "rmsprop".
n_iter_no_change : int, default=10
    Idle epochs that are borne; ``numpy.inf`` for any number.
max_fun : int, default=15000
    Evaluations of the loss by "lbfgs" at most.
""",
    "beyond": """
weight_init : {"xavier_uniform", "xavier_normal", "he_normal", "he_uniform", "lecun_normal", "orthogonal", \
        "small_normal", "zeros"}, default="xavier_uniform"
    Distribution of the initial weights. Xavier's have standard deviation sqrt(2 / (fan_in + fan_out)) (Glorot &
    Bengio, 2010), He's sqrt(2 / fan_in), LeCun's sqrt(1 / fan_in); "small_normal" is 0.01 for all layers, as in
    1986. As in scikit-learn, "xavier_uniform" draws the biases too, and logistic layers in a range narrower by
    sqrt(3); else biases are zero.
lr_schedule : {"cosine", "one_cycle", "step"}, callable or None, default=None
    Factor of the learning rate as a function of progress in [0, 1], max_iter epochs being 1.
dropout : float or sequence of float, default=0.0
    Probability with which a hidden unit is off for a sample in training, for all hidden layers or one for each.
    A unit's fate is a hash of seed, step and sample: it is the same for any number of threads.
batch_norm : bool, default=False
    Whether hidden layers are normalised over the batch, before the activation (Ioffe & Szegedy, 2015).
weight_decay : float, default=0.0
    Strength of the penalty ``weight_decay |W|^2 / 2`` of the mean loss; under "adamw" weights shrink by
    ``weight_decay`` times the learning rate beside the step.
l1 : float, default=0.0
    Strength of the penalty ``l1 |W|_1`` of the mean loss.
clip_norm : float or None, default=None
    Longest gradient of a step: a longer one is scaled down (Pascanu, Mikolov & Bengio, 2013).
scoring : str, callable or None, default=None
    Scorer of the validation data; None is accuracy or R^2.
restore_best : bool, default=True
    Whether early stopping ends with the weights of the best validation score.
""",
    "images": """
image_shape_in_ : (int, int, int)
    Height, width and channels of the images.
layers_ : list of (str, Layer)
    The layers with their names, the output last.
receptive_field_ : (int, int)
    Height and width, in pixels of the input, that a number of the last maps depends on.
""",
    "learned": """
theta_ : ndarray of shape (n_parameters,)
    All weights and biases.
coefs_, intercepts_ : list of ndarray
    Views of `theta_`: %(coefs)s
loss_, best_loss_ : float
    Loss of the last epoch, and the lowest; the latter is None under early stopping.
loss_curve_ : list of float
    Penalised loss of each epoch, each sample counting by its weight.
validation_scores_, validation_loss_curve_ : list of float or None
    Score and loss, without penalties, on the validation data after each epoch; None without.
best_validation_score_ : float or None
    The best score.
best_epoch_ : int
    The epoch of the best validation score, or of the lowest loss; the first is 1.
lr_curve_ : list of float
    Learning rate at the end of each epoch.
grad_norm_curve_ : list of ndarray of shape (n_layers - 1,)
    Norm of the gradient by each layer's weights, root mean square over the steps of each epoch.
n_iter_ : int
    Epochs of the last fit.
t_ : int
    Samples that all epochs have gone through.
n_layers_, n_outputs_, n_parameters_ : int
    Layers with weights and the input, outputs, and length of `theta_`.
out_activation_ : str
    What turns the last layer's scores into predictions.
n_features_in_ : int
    Features seen in fit.
feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Their names, only where all were strings.
""",
}


def documented(**words):
    """A decorator that puts the texts, with these words in them, into the docstring of a class."""

    def decorate(cls):
        lines = []
        for line in (cls.__doc__ or "").split("\n"):
            name = line.strip().removeprefix("%(").removesuffix(")s")
            if name not in TEXTS:
                lines.append(line)
                continue
            text = TEXTS[name]
            for word, meaning in words.items():
                text = text.replace(f"%({word})s", meaning)
            lines += [f"    {each}".rstrip() for each in text.strip("\n").split("\n")]
        if cls.__doc__:  # python -OO has none
            cls.__doc__ = "\n".join(lines)
        return cls

    return decorate
