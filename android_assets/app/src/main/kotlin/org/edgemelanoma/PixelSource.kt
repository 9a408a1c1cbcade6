package org.edgemelanoma

/** Where pixels come from, as they are stored: an array here, a bitmap on Android. */
interface PixelSource {
    /** Width of the stored picture in pixels. */
    val width: Int

    /** Height of the stored picture in pixels. */
    val height: Int

    /**
     * Write the rectangle with its top left corner at ([left], [top]) to the start of [pixels], row
     * by row and without gaps: [columns] x [rows] integers 0xAARRGGBB, not premultiplied.
     */
    fun read(pixels: IntArray, left: Int, top: Int, columns: Int, rows: Int)
}

/**
 * A picture that is held as [pixels]: row after row of 0xAARRGGBB, as `Bitmap.getPixels` writes
 * them.
 *
 * @throws EmptyPictureException [width] or [height] is below 1, or [pixels] are fewer than both ask
 *   for
 */
class ArgbPixels(
    private val pixels: IntArray,
    override val width: Int,
    override val height: Int,
) : PixelSource {
    init {
        if (width < 1 || height < 1 || pixels.size < width.toLong() * height) {
            throw EmptyPictureException(
                "A picture of $width x $height pixels cannot be in an array of ${pixels.size}.",
            )
        }
    }

    override fun read(pixels: IntArray, left: Int, top: Int, columns: Int, rows: Int) {
        for (row in 0 until rows) {
            val start = (top + row) * width + left
            this.pixels.copyInto(pixels, row * columns, start, start + columns)
        }
    }
}
