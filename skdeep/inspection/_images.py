"""What displays of images have in common: a grid of them, one image an axes."""

import math

import numpy as np


class ImagesDisplay:
    """Small images in a grid, within one axes or one in each of those given."""

    def _plot_images(self, images, title, ax, n_cols, im_kw):
        """Draw images, array of shape (n, height, width) or (n, height, width, 3), and set the fitted attributes."""
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots()
        if isinstance(ax, plt.Axes):
            self.bounding_ax_, self.axes_ = ax, _grid_within(ax, *images.shape[:3], n_cols)
            ax.set_title(title)
        else:
            self.bounding_ax_, self.axes_ = None, np.asarray(ax, dtype=object)
        axes = [each for each in self.axes_.ravel() if each is not None]
        if len(axes) != len(images):
            raise ValueError(f"ax must be one axes, or one for each of the {len(images)} images, got {len(axes)}.")
        self.figure_ = axes[0].figure
        im_kw = {"interpolation": "nearest"} | im_kw
        self.ims_ = [each.imshow(image, **im_kw) for each, image in zip(axes, images, strict=True)]
        for each in axes:
            each.set(xticks=[], yticks=[])
        return self


def _grid_within(ax, n, height, width, n_cols):
    """Axes within ax for n images of one size, row by row, as array of shape (n_rows, n_cols), None beyond the last."""
    if not ax.axison:
        raise ValueError("ax is in use by another display: give other axes, or that display's axes_.")
    # Without a wish, as many columns as make a square of all images.
    n_cols = min(n, n_cols or math.ceil(math.sqrt(n * height / width)))
    n_rows, gap = math.ceil(n / n_cols), 0.1 * min(height, width)
    # In pixels of the images, gaps between them included.
    whole = n_cols * (width + gap) - gap, n_rows * (height + gap) - gap
    axes = np.full((n_rows, n_cols), None)
    for i in range(n):
        row, column = divmod(i, n_cols)
        x, y = column * (width + gap), (n_rows - 1 - row) * (height + gap)
        axes[row, column] = ax.inset_axes((x / whole[0], y / whole[1], width / whole[0], height / whole[1]))
    ax.set_box_aspect(whole[1] / whole[0])
    ax.set_axis_off()
    return axes
