package org.edgemelanoma

import android.content.res.AssetManager
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.Model
import com.google.ai.edge.litert.TensorBuffer
import com.google.ai.edge.litert.TensorType

/**
 * LiteRT's CompiledModel on the CPU. It has no element type for unsigned bytes, so it serves
 * melanoma_int8.tflite only, and it does not tell scale and zero point: the file's hash stands for
 * them.
 */
internal class CompiledModelBackend private constructor(
    override val input: LoadedTensor,
    override val output: LoadedTensor,
    override val gate: LoadedTensor?,
    private val compiled: CompiledModel,
    private val inputs: List<TensorBuffer>,
    private val outputs: List<TensorBuffer>,
    private val opened: Closeables,
) : ModelBackend {
    override fun run(pixels: ByteArray): ModelOutput {
        inputs[0].writeInt8(pixels)
        compiled.run(inputs, outputs)
        return ModelOutput(outputs[0].readInt8()[0], gate?.let { outputs[1].readInt8() })
    }

    override fun close() = opened.close()

    companion object {
        /** Load [file] from [assets]; where that fails half-way, nothing stays open. */
        fun open(assets: AssetManager, file: ModelFile, threads: Int): CompiledModelBackend {
            val opened = Closeables()
            try {
                val model = opened.keep(Model.load(assets, file.file))
                val options = CompiledModel.Options(Accelerator.CPU)
                options.cpuOptions = CompiledModel.CpuOptions(numThreads = threads)
                val compiled = opened.keep(CompiledModel.create(model, options))
                return CompiledModelBackend(
                    input = loaded(model.getInputTensorType(file.input.name)),
                    output = loaded(model.getOutputTensorType(file.output.name)),
                    gate = file.gate?.run { loaded(model.getOutputTensorType(tensor.name)) },
                    compiled = compiled,
                    inputs = compiled.createInputBuffers().onEach(opened::keep),
                    outputs = compiled.createOutputBuffers().onEach(opened::keep),
                    opened = opened,
                )
            } catch (failure: Throwable) {
                opened.close()
                throw failure
            }
        }

        private fun loaded(type: TensorType): LoadedTensor {
            val layout = type.layout
            val shape = layout?.run { List(rank) { dimensions[it] } }
            return LoadedTensor(shape.orEmpty(), type.elementType.name, quantization = null)
        }
    }
}
