"""One .tflite model in one interpreter with one set of kernels, in a Python of any kind.

    python kernel_process.py JOB.json

Run as a file, by a Python that need not have this package: numpy and the interpreter will do. The
pixels go through the 256 entries of a table, so that every interpreter is given the same integers.
"""

import importlib
import json
import sys
import time
from typing import Any

import numpy as np

RESOLVERS = {
    "default": "AUTO",
    "built-in": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}


def main() -> None:
    """Write the raw outputs of all pictures beside the job, and tell of the graph on stdout."""
    with open(sys.argv[1], encoding="utf-8") as stream:
        job = json.load(stream)
    interpreter = open_model(job)
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]
    table = np.load(job["table"])
    shape = (job["count"], *job["shape"])
    pixels = np.memmap(job["pixels"], dtype=np.uint8, mode="r", shape=shape)
    outputs, start = [], time.process_time()
    for image in pixels:
        interpreter.set_tensor(source, table.take(image)[np.newaxis])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(target).reshape(-1)[0])
    milliseconds = (time.process_time() - start) * 1000 / len(outputs)
    np.save(job["outputs"], np.array(outputs))
    nodes = [node["op_name"] for node in interpreter._get_ops_details()]
    print(json.dumps({"xnnpack_parts": nodes.count("DELEGATE"), "cpu_ms": milliseconds}))


def open_model(job: dict[str, Any]) -> Any:
    """The model, loaded and allocated."""
    if job["runtime"] == "tf.lite":
        lite = importlib.import_module("tensorflow").lite
        make, resolvers = lite.Interpreter, lite.experimental.OpResolverType
    else:
        module = importlib.import_module(job["runtime"] + ".interpreter")
        make, resolvers = module.Interpreter, module.OpResolverType
    with open(job["model"], "rb") as stream:
        data = stream.read()
    resolver = resolvers[RESOLVERS[job["kernels"]]]
    interpreter = make(
        model_content=data, num_threads=job["threads"], experimental_op_resolver_type=resolver
    )
    interpreter.allocate_tensors()
    return interpreter


if __name__ == "__main__":
    main()
