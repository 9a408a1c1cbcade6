package org.edgemelanoma

import kotlin.math.abs
import kotlin.math.max

/**
 * What is wrong with a photo as it was taken, with what helps.
 *
 * @property word as Python and the web page say it
 */
enum class PhotoFault(val word: String, val advice: String) {
    TOO_DARK("too dark", "take it again with more light"),
    TOO_BRIGHT("too bright", "take it again with less light"),
    GLARE("glare", "take it again without reflections: tilt the light, or use contact fluid"),
    BLURRED("blurred", "hold still, and let the camera focus"),
    TOO_LITTLE_LESION("too little lesion", "aim at the lesion: there is hardly anything but skin"),
    TOO_SMALL("too small", "go nearer, until the lesion fills a third of the width"),
    NOT_IN_THE_MIDDLE("not in the middle", "put the whole lesion in the middle"),
    UNLIKE(
        "unlike the training pictures",
        "it may be no dermoscopic picture of a lesion",
    ),
}

/**
 * Whole numbers of a picture of [LesionPreprocessor.SIZE] pixels a side, the same in every client.
 *
 * Levels are grey in 0..255, shares and distances are in 1000ths.
 *
 * @property light the level below which nine tenths lie
 * @property middle the level below which a half lies
 * @property burnt share of pixels whose darkest colour is burnt out
 * @property clipped share of pixels one of whose colours is at its end
 * @property detail differences over 2 pixels, of those over 8
 * @property contrast from the skin's level to the lesion's, in the inner disc
 * @property area how dark the disc is, of one that is lesion all over
 * @property offset from the middle of the picture to that of what is dark, down or across
 * @property red of the lightest tenth of the disc, of its green
 * @property blue the same of blue
 * @property colour saturation of the disc: what its colours differ by, of the largest
 */
data class PhotoMeasures(
    val light: Int,
    val middle: Int,
    val burnt: Int,
    val clipped: Int,
    val detail: Int,
    val contrast: Int,
    val area: Int,
    val offset: Int,
    val red: Int,
    val blue: Int,
    val colour: Int,
) {
    /** The faults, none of a good photo. */
    fun faults(): List<PhotoFault> {
        val isBurnt = burnt > 12
        val hasLesion = contrast >= 27
        val isBright = clipped > 200 || (isBurnt && middle >= 215)
        val isSmall = area < 58 && contrast >= 10
        return listOf(
            PhotoFault.TOO_DARK to (light < 100),
            PhotoFault.TOO_BRIGHT to isBright,
            PhotoFault.GLARE to (isBurnt && !isBright),
            PhotoFault.BLURRED to (detail < 269),
            PhotoFault.TOO_LITTLE_LESION to (!hasLesion && !isSmall),
            PhotoFault.TOO_SMALL to isSmall,
            PhotoFault.NOT_IN_THE_MIDDLE to (hasLesion && !isSmall && offset > 205),
        ).filter { it.second }.map { it.first }
    }

    companion object {
        private const val SIZE = LesionPreprocessor.SIZE
        private const val CELLS = 56
        private const val CELL = SIZE / CELLS
        private const val BURNT = 245

        /** The numbers of [pixels], which are as [LesionPreprocessor] gives them. */
        fun of(pixels: ByteArray, encoding: PixelEncoding): PhotoMeasures {
            val grey = IntArray(SIZE * SIZE)
            val sums = Array(4) { IntArray(CELLS * CELLS) }
            var burnt = 0
            var clipped = 0
            for (place in grey.indices) {
                fun level(colour: Int) =
                    (pixels[3 * place + colour] + encoding.zeroLevel) and 0xFF
                val (red, green, blue) = Triple(level(0), level(1), level(2))
                grey[place] = (77 * red + 150 * green + 29 * blue) shr 8
                if (minOf(red, green, blue) >= BURNT) burnt++
                if (maxOf(red, green, blue) == 255) clipped++
                val cell = place / SIZE / CELL * CELLS + place % SIZE / CELL
                sums[0][cell] += red
                sums[1][cell] += green
                sums[2][cell] += blue
                sums[3][cell] += grey[place]
            }
            val levels = grey.sortedArray()
            val (reds, greens, blues) = sums
            val cells = IntArray(CELLS * CELLS) { sums[3][it] / (CELL * CELL) }
            val disc = cells.indices.filter { inside(it) }
            val sorted = disc.map { cells[it] }.sorted()
            val skin = sorted[sorted.size * 800 / 1000]
            val lesion = sorted[sorted.size * 5 / 1000]
            fun darkness(cell: Int) = (skin - cells[cell]).coerceIn(0, skin - lesion)
            val whole = max(1, disc.sumOf { darkness(it) })
            val down = disc.sumOf { darkness(it) * placeOf(it / CELLS) }
            val across = disc.sumOf { darkness(it) * placeOf(it % CELLS) }
            val light = disc.filter { cells[it] >= sorted[sorted.size * 900 / 1000] }
            val green = max(1, light.sumOf { greens[it] })
            fun highest(cell: Int) = maxOf(reds[cell], greens[cell], blues[cell])
            fun lowest(cell: Int) = minOf(reds[cell], greens[cell], blues[cell])
            val spread = disc.sumOf { highest(it) - lowest(it) }
            return PhotoMeasures(
                light = levels[levels.size * 9 / 10],
                middle = levels[levels.size / 2],
                burnt = burnt * 1000 / levels.size,
                clipped = clipped * 1000 / levels.size,
                detail = (differences(grey, 2) * 1000 / max(1L, differences(grey, 8))).toInt(),
                contrast = skin - lesion,
                area = (whole * 1000L / (max(1, skin - lesion) * sorted.size)).toInt(),
                offset = (max(abs(down), abs(across)) * 500L / (whole.toLong() * CELLS)).toInt(),
                red = (light.sumOf { reds[it] } * 1000L / green).toInt(),
                blue = (light.sumOf { blues[it] } * 1000L / green).toInt(),
                colour = (spread * 1000L / max(1, disc.sumOf { highest(it) })).toInt(),
            )
        }

        /** Twice the distance from the middle, in cells. */
        private fun placeOf(index: Int) = 2 * index + 1 - CELLS

        private fun inside(cell: Int): Boolean {
            val row = placeOf(cell / CELLS)
            val column = placeOf(cell % CELLS)
            return row * row + column * column <= CELLS * CELLS
        }

        /** The sum of differences of level, down and across. */
        private fun differences(grey: IntArray, step: Int): Long {
            var sum = 0L
            for (place in grey.indices) {
                if (place >= step * SIZE) sum += abs(grey[place] - grey[place - step * SIZE])
                if (place % SIZE >= step) sum += abs(grey[place] - grey[place - step])
            }
            return sum
        }
    }
}
