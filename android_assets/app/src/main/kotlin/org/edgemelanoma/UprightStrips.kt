package org.edgemelanoma

/** Which part of the upright picture the network sees. */
enum class Crop {
    /** The whole frame, squashed to a square. */
    NONE,

    /** The largest square in the middle. */
    CENTRE,
}

/**
 * Reads a stored picture as if it were upright and cropped, a strip of rows at a time, so that
 * neither a turned nor an unpacked copy of a photograph of 12 million pixels is ever held.
 *
 * After [aim] and [read], pixel (x, y) of a strip is found in [pixels] at the index
 * `origin + x * columnStep + y * rowStep`.
 */
internal class UprightStrips(private val crop: Crop) {
    private lateinit var source: PixelSource
    private var orientation = Orientation.UPRIGHT
    private var left = 0
    private var top = 0

    /** Width of the upright, cropped picture. */
    var width = 0
        private set

    /** Height of the upright, cropped picture. */
    var height = 0
        private set
    var pixels = IntArray(0)
        private set
    var origin = 0
        private set
    var columnStep = 0
        private set
    var rowStep = 0
        private set

    /** Choose the picture to read. */
    fun aim(source: PixelSource, orientation: Orientation) {
        if (source.width < 1 || source.height < 1) {
            throw EmptyPictureException(
                "A picture of ${source.width} x ${source.height} pixels shows nothing.",
            )
        }
        this.source = source
        this.orientation = orientation
        val fullWidth = if (orientation.swapsSides) source.height else source.width
        val fullHeight = if (orientation.swapsSides) source.width else source.height
        val side = minOf(fullWidth, fullHeight)
        width = if (crop == Crop.CENTRE) side else fullWidth
        height = if (crop == Crop.CENTRE) side else fullHeight
        left = (fullWidth - width) / 2
        top = (fullHeight - height) / 2
        if (pixels.size < width * ROWS) pixels = IntArray(width * ROWS)
    }

    /** Read the upright rows from [firstRow] on, at most [ROWS] of them; returns how many. */
    fun read(firstRow: Int): Int {
        val rows = minOf(ROWS, height - firstRow)
        val swapped = orientation.swapsSides
        // Upright columns are stored as rows where sides are swapped, and rows as columns.
        val storedColumns = if (swapped) rows else width
        val storedRows = if (swapped) width else rows
        val columnsBefore = if (swapped) top + firstRow else left
        val rowsBefore = if (swapped) left else top + firstRow
        val columnsAfter = source.width - columnsBefore - storedColumns
        val rowsAfter = source.height - rowsBefore - storedRows
        source.read(
            pixels,
            left = if (orientation.mirrorsColumns) columnsAfter else columnsBefore,
            top = if (orientation.mirrorsRows) rowsAfter else rowsBefore,
            columns = storedColumns,
            rows = storedRows,
        )
        pointAtPixels(storedColumns, storedRows)
        whitenTransparent(storedColumns * storedRows)
        return rows
    }

    private fun pointAtPixels(storedColumns: Int, storedRows: Int) {
        val alongRow = if (orientation.mirrorsColumns) -1 else 1
        val alongColumn = if (orientation.mirrorsRows) -storedColumns else storedColumns
        columnStep = if (orientation.swapsSides) alongColumn else alongRow
        rowStep = if (orientation.swapsSides) alongRow else alongColumn
        origin = (if (orientation.mirrorsColumns) storedColumns - 1 else 0) +
            (if (orientation.mirrorsRows) (storedRows - 1) * storedColumns else 0)
    }

    /** Lay what is not opaque over white. */
    private fun whitenTransparent(count: Int) {
        for (index in 0 until count) {
            val pixel = pixels[index]
            val alpha = pixel ushr 24
            if (alpha != OPAQUE) {
                pixels[index] = (overWhite(pixel shr 16 and 0xFF, alpha) shl 16) or
                    (overWhite(pixel shr 8 and 0xFF, alpha) shl 8) or
                    overWhite(pixel and 0xFF, alpha)
            }
        }
    }

    /** One channel over white, in the integers of Pillow's `Image.alpha_composite`. */
    private fun overWhite(level: Int, alpha: Int): Int {
        val sum = (level * alpha + OPAQUE * (OPAQUE - alpha) shl PLACES) + (0x80 shl PLACES)
        return (sum shr 8) + sum shr 8 + PLACES
    }

    companion object {
        /** Sixteen integers fill a cache line, so a picture on its side is read without waste. */
        const val ROWS = 16
        private const val OPAQUE = 255
        private const val PLACES = 7
    }
}
