package android.graphics

import java.io.InputStream
import javax.imageio.ImageIO
import org.edgemelanoma.desktop.DecodedPixels

/** Refuses what a real bitmap refuses: pixels of one in graphics memory, and of a recycled one. */
class Bitmap private constructor(
    private val colors: IntArray,
    val width: Int,
    val height: Int,
    val config: Config?,
) {
    enum class Config { ALPHA_8, RGB_565, ARGB_4444, ARGB_8888, RGBA_F16, HARDWARE, RGBA_1010102 }

    var isRecycled = false
        private set

    fun getPixels(
        pixels: IntArray,
        offset: Int,
        stride: Int,
        x: Int,
        y: Int,
        width: Int,
        height: Int,
    ) {
        check(!isRecycled) { "Can't call getPixels() on a recycled bitmap" }
        check(config != Config.HARDWARE) { "unable to getPixels() of a HARDWARE bitmap" }
        require(x >= 0 && x + width <= this.width) { "outside the bitmap" }
        require(y >= 0 && y + height <= this.height) { "outside the bitmap" }
        for (row in 0 until height) {
            val start = (y + row) * this.width + x
            colors.copyInto(pixels, offset + row * stride, start, start + width)
        }
    }

    fun copy(config: Config, @Suppress("UNUSED_PARAMETER") isMutable: Boolean): Bitmap? =
        Bitmap(colors, width, height, config).also(copies::add)

    fun recycle() {
        isRecycled = true
    }

    companion object {
        /** Every copy that was made, to see what became of it. */
        val copies = mutableListOf<Bitmap>()

        @JvmStatic
        fun createBitmap(colors: IntArray, width: Int, height: Int, config: Config): Bitmap =
            Bitmap(colors.copyOf(), width, height, config)

        @JvmStatic
        fun createBitmap(
            source: Bitmap,
            x: Int,
            y: Int,
            width: Int,
            height: Int,
            m: Matrix?,
            filter: Boolean,
        ): Bitmap = TODO("$source, $x, $y, $width, $height, $m, $filter: there is no screen")
    }
}

object BitmapFactory {
    class Options {
        @JvmField var inPreferredConfig: Bitmap.Config? = Bitmap.Config.ARGB_8888

        @JvmField var inScaled = true

        @JvmField var inJustDecodeBounds = false

        @JvmField var outWidth = 0

        @JvmField var outHeight = 0
    }

    @JvmStatic
    fun decodeStream(stream: InputStream?, outPadding: Rect?, options: Options?): Bitmap? {
        check(outPadding == null && options?.inJustDecodeBounds != true) { "not done here" }
        val data = stream?.readBytes() ?: return null
        val image = ImageIO.read(data.inputStream()) ?: return null
        val colors = image.getRGB(0, 0, image.width, image.height, null, 0, image.width)
        val pixels = DecodedPixels.insteadOf(colors, data)
        return Bitmap.createBitmap(pixels, image.width, image.height, Bitmap.Config.ARGB_8888)
    }
}

class Rect

class Matrix {
    fun postScale(sx: Float, sy: Float): Boolean = sx != sy

    fun postRotate(degrees: Float): Boolean = degrees != 0f
}
