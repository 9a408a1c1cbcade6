"""Whether convolutions and dense layers fit the tensors that they take and give."""

from edge_melanoma.tflite.flatbuffer_reading import BrokenFlatbufferError, Content

SAME = 0
LARGEST_STEP = 32
Shape = list[int]


def refuse_wrong_shapes(
    operator: str, options: Content, inputs: list[int], outputs: list[int], tensors: list[Content]
) -> None:
    """Of the operators with weights; the others keep shapes, or compute them.

    Raises:
        BrokenFlatbufferError: what does not fit.
    """
    if operator not in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}:
        return
    if len(inputs) not in {2, 3} or -1 in inputs[:2] or len(outputs) != 1:
        raise BrokenFlatbufferError(f"has a {operator} with {len(inputs)} inputs")
    image, kernel = (tensors[index]["shape"] for index in inputs[:2])
    given = tensors[outputs[0]]["shape"]
    if operator == "FULLY_CONNECTED":
        fits = len(kernel) == 2 and bool(image and given)
        fits = fits and image[-1] == kernel[1] and given[-1] == kernel[0]
        channels = kernel[0] if kernel else 0
    else:
        channels = _channels(operator, image, kernel, options)
        fits = channels > 0 and given == [image[0], *_sides(image, kernel, options), channels]
    if len(inputs) == 3 and inputs[2] != -1:
        fits = fits and tensors[inputs[2]]["shape"] == [channels]
    if not fits:
        raise BrokenFlatbufferError(
            f"has a {operator} whose shapes do not fit: {image} by {kernel} to {given}"
        )


def _channels(operator: str, image: Shape, kernel: Shape, options: Content) -> int:
    """How many the convolution gives, or 0 where kernel and picture do not go together."""
    if len(image) != 4 or len(kernel) != 4:
        return 0
    if operator == "CONV_2D":
        return kernel[0] if image[3] % kernel[3] == 0 else 0
    wanted = image[3] * options.get("depth_multiplier", 0)
    return kernel[3] if kernel[0] == 1 and kernel[3] == wanted else 0


def _sides(image: Shape, kernel: Shape, options: Content) -> list[int]:
    """Height and width of what a window gives."""
    sides = []
    for axis, letter in ((1, "h"), (2, "w")):
        step = options.get(f"stride_{letter}", 0)
        spread = options.get(f"dilation_{letter}_factor", 1)
        if not (1 <= step <= LARGEST_STEP and 1 <= spread <= LARGEST_STEP):
            raise BrokenFlatbufferError(f"has a window with steps of {step} and gaps of {spread}")
        covered = 1 if options.get("padding", SAME) == SAME else spread * (kernel[axis] - 1) + 1
        sides.append((image[axis] - covered) // step + 1)
    return sides
