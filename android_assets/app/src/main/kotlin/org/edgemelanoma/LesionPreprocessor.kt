package org.edgemelanoma

import org.edgemelanoma.TriangleFilter.Companion.HALF
import org.edgemelanoma.TriangleFilter.Companion.PRECISION_BITS

/**
 * How a grey level p of 0..255 is handed to the model.
 *
 * @property zeroLevel the level that becomes the byte 0
 */
enum class PixelEncoding(internal val zeroLevel: Int) {
    /** q = p: for melanoma_uint8.tflite, and to compare pixels. */
    UINT8(0),

    /** q = p - 128: for melanoma_int8.tflite. */
    INT8(128),
}

/**
 * From a picture of any size to the network's input, equal bit for bit to what the network was
 * trained and measured on: turned upright, cropped if asked, squashed to [SIZE] x [SIZE] by the
 * resize [RESIZE_ID].
 *
 * The resize goes along the rows first, rounds to whole grey levels, and goes along the columns
 * then. Pure Kotlin without Android. Arrays are kept, so that frames of one size are processed
 * without allocating anything after the first; an instance serves one thread at a time.
 *
 * @param encoding what the bytes mean
 * @param crop what of the upright picture is used; it has to be what the model's model_info.json
 *   states
 */
class LesionPreprocessor(
    private val encoding: PixelEncoding,
    crop: Crop = Crop.NONE,
) {
    private val strips = UprightStrips(crop)
    private var horizontal = TriangleFilter(SIZE, SIZE)
    private var vertical = TriangleFilter(SIZE, SIZE)

    /** The picture after the first pass: [SIZE] columns, all rows, three bytes a pixel. */
    private var rows = ByteArray(0)
    private val sums = IntArray(ROW_BYTES)
    private val output = ByteArray(BYTES)

    /**
     * The network's input: [BYTES] bytes, row by row, red, green, blue.
     *
     * The array belongs to this instance and is written over by the next call.
     *
     * @throws EmptyPictureException [source] has no pixels
     */
    fun process(source: PixelSource, orientation: Orientation = Orientation.UPRIGHT): ByteArray {
        strips.aim(source, orientation)
        if (horizontal.inputSize != strips.width) horizontal = TriangleFilter(strips.width, SIZE)
        if (vertical.inputSize != strips.height) vertical = TriangleFilter(strips.height, SIZE)
        if (rows.size < strips.height * ROW_BYTES) rows = ByteArray(strips.height * ROW_BYTES)
        squeezeRows()
        squeezeColumns()
        return output
    }

    private fun squeezeRows() {
        var y = 0
        while (y < strips.height) {
            val count = strips.read(y)
            for (row in 0 until count) {
                squeezeRow(strips.origin + row * strips.rowStep, (y + row) * ROW_BYTES)
            }
            y += count
        }
    }

    /** One row from [origin] of the strip to [SIZE] pixels at [target] of [rows]. */
    private fun squeezeRow(origin: Int, target: Int) {
        val pixels = strips.pixels
        val step = strips.columnStep
        val weights = horizontal.weights
        var byte = target
        for (x in 0 until SIZE) {
            var red = HALF
            var green = HALF
            var blue = HALF
            var source = origin + horizontal.firstInput[x] * step
            val firstWeight = x * horizontal.stride
            for (tap in firstWeight until firstWeight + horizontal.tapCount[x]) {
                val pixel = pixels[source]
                val weight = weights[tap]
                red += (pixel shr 16 and 0xFF) * weight
                green += (pixel shr 8 and 0xFF) * weight
                blue += (pixel and 0xFF) * weight
                source += step
            }
            rows[byte++] = level(red).toByte()
            rows[byte++] = level(green).toByte()
            rows[byte++] = level(blue).toByte()
        }
    }

    private fun squeezeColumns() {
        for (y in 0 until SIZE) {
            sums.fill(HALF)
            val firstWeight = y * vertical.stride
            var source = vertical.firstInput[y] * ROW_BYTES
            for (tap in firstWeight until firstWeight + vertical.tapCount[y]) {
                val weight = vertical.weights[tap]
                for (index in 0 until ROW_BYTES) {
                    sums[index] += (rows[source + index].toInt() and 0xFF) * weight
                }
                source += ROW_BYTES
            }
            for (index in 0 until ROW_BYTES) {
                output[y * ROW_BYTES + index] = (level(sums[index]) - encoding.zeroLevel).toByte()
            }
        }
    }

    /** The grey level of a sum of weighted levels; rounded weights may pass 255 by a bit. */
    private fun level(sum: Int): Int = (sum shr PRECISION_BITS).coerceIn(0, 255)

    companion object {
        /** Width and height of the network's input in pixels. */
        const val SIZE = 224

        /** Length of the network's input: [SIZE] x [SIZE] pixels of three bytes. */
        const val BYTES = SIZE * SIZE * 3

        /** The name of the resize, as in model_info.json. */
        const val RESIZE_ID = "triangle-22bit-v1"
        private const val ROW_BYTES = SIZE * 3
    }
}
