package org.edgemelanoma

import android.graphics.Bitmap
import android.os.Build

/** The pixels of one bitmap at a time, in sRGB and not premultiplied, whatever its own format. */
internal class BitmapPixels : PixelSource {
    private var bitmap: Bitmap? = null
    override val width: Int get() = bitmap?.width ?: 0
    override val height: Int get() = bitmap?.height ?: 0

    /**
     * Give [work] the pixels of [bitmap].
     *
     * @throws EmptyPictureException [bitmap] was recycled
     */
    inline fun <T> use(bitmap: Bitmap, work: (PixelSource) -> T): T {
        if (bitmap.isRecycled) {
            throw EmptyPictureException("The bitmap was recycled; classify it before that.")
        }
        val readable = readable(bitmap)
        this.bitmap = readable
        try {
            return work(this)
        } finally {
            this.bitmap = null
            if (readable !== bitmap) readable.recycle()
        }
    }

    override fun read(pixels: IntArray, left: Int, top: Int, columns: Int, rows: Int) {
        bitmap?.getPixels(pixels, 0, columns, left, top, columns, rows)
    }

    /** The bitmap, or a copy of one in graphics memory, which cannot be read. */
    private fun readable(bitmap: Bitmap): Bitmap {
        val mayBeHardware = Build.VERSION.SDK_INT >= Build.VERSION_CODES.O
        if (!mayBeHardware || bitmap.config != Bitmap.Config.HARDWARE) return bitmap
        return bitmap.copy(Bitmap.Config.ARGB_8888, false) ?: throw EmptyPictureException(
            "The bitmap in graphics memory cannot be copied; decode it by a software allocator.",
        )
    }
}
