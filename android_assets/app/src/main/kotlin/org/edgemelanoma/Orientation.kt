package org.edgemelanoma

/**
 * How the pixels of a picture are stored, by the EXIF tag Orientation.
 *
 * A decoder that ignores the tag (`BitmapFactory` does) hands over pixels that lie on their side;
 * the network has only seen upright ones.
 *
 * @property exif the tag's value, 1 to 8
 * @property swapsSides whether the upright picture is as wide as the stored one is high
 * @property mirrorsColumns whether the stored columns run from right to left
 * @property mirrorsRows whether the stored rows run from bottom to top
 */
enum class Orientation(
    val exif: Int,
    val swapsSides: Boolean,
    internal val mirrorsColumns: Boolean,
    internal val mirrorsRows: Boolean,
) {
    UPRIGHT(1, swapsSides = false, mirrorsColumns = false, mirrorsRows = false),
    MIRRORED(2, swapsSides = false, mirrorsColumns = true, mirrorsRows = false),
    TURNED_180(3, swapsSides = false, mirrorsColumns = true, mirrorsRows = true),
    FLIPPED(4, swapsSides = false, mirrorsColumns = false, mirrorsRows = true),
    TRANSPOSED(5, swapsSides = true, mirrorsColumns = false, mirrorsRows = false),
    TURNED_90(6, swapsSides = true, mirrorsColumns = false, mirrorsRows = true),
    TRANSVERSED(7, swapsSides = true, mirrorsColumns = true, mirrorsRows = true),
    TURNED_270(8, swapsSides = true, mirrorsColumns = true, mirrorsRows = false),
    ;

    companion object {
        /**
         * The orientation that the tag states. 0, which `ExifInterface` reports where the tag is
         * missing, and values outside 1..8 mean upright, as in every common reader.
         */
        @JvmStatic
        fun ofExif(tag: Int): Orientation = entries.firstOrNull { it.exif == tag } ?: UPRIGHT

        /**
         * The orientation of a frame that has to be turned clockwise by [degrees] to stand upright,
         * such as CameraX's `imageInfo.rotationDegrees`.
         *
         * @throws IllegalArgumentException [degrees] is no multiple of 90
         */
        @JvmStatic
        fun ofDegrees(degrees: Int): Orientation =
            when (degrees.mod(360)) {
                0 -> UPRIGHT
                90 -> TURNED_90
                180 -> TURNED_180
                270 -> TURNED_270
                else -> throw IllegalArgumentException(
                    "A picture can be turned by multiples of 90 degrees, not by $degrees.",
                )
            }
    }
}
