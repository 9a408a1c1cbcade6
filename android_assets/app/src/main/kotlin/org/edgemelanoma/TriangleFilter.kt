package org.edgemelanoma

import kotlin.math.abs
import kotlin.math.ceil
import kotlin.math.max
import kotlin.math.min

/**
 * The weights of `triangle-22bit-v1` along one side: output pixel `o` is the sum of [tapCount]`[o]`
 * input pixels from [firstInput]`[o]` on, each times its weight.
 *
 * The triangle is as wide as the reduction asks for (antialiasing). Weights are computed in double
 * precision, sum to 1, and are rounded half away from zero to [PRECISION_BITS] binary places. These
 * are Pillow's `Image.Resampling.BILINEAR` weights for 8-bit pictures, bit for bit.
 */
internal class TriangleFilter(val inputSize: Int, outputSize: Int) {
    private val scale = inputSize.toDouble() / outputSize
    private val support = max(scale, 1.0)

    /** The distance in [weights] from one output pixel to the next. */
    val stride = 2 * ceil(support).toInt() + 1
    val firstInput = IntArray(outputSize)
    val tapCount = IntArray(outputSize)
    val weights = IntArray(outputSize * stride)

    init {
        val exact = DoubleArray(stride)
        for (output in 0 until outputSize) {
            val centre = (output + 0.5) * scale
            val first = max((centre - support + 0.5).toInt(), 0)
            val count = min((centre + support + 0.5).toInt(), inputSize) - first
            var sum = 0.0
            for (tap in 0 until count) {
                // Multiplied by the reciprocal, as Pillow does: a division rounds otherwise.
                exact[tap] = triangle((first + tap - centre + 0.5) * (1.0 / support))
                sum += exact[tap]
            }
            for (tap in 0 until count) {
                weights[output * stride + tap] = (exact[tap] / sum * ONE + 0.5).toInt()
            }
            firstInput[output] = first
            tapCount[output] = count
        }
    }

    private fun triangle(distance: Double): Double = max(1.0 - abs(distance), 0.0)

    companion object {
        const val PRECISION_BITS = 22

        /** Added to a sum of weighted pixels before [PRECISION_BITS] are cut off. */
        const val HALF = 1 shl (PRECISION_BITS - 1)
        private const val ONE = (1 shl PRECISION_BITS).toDouble()
    }
}
