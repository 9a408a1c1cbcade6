package android.widget

import android.content.Context
import android.graphics.Bitmap
import android.view.View

open class TextView(context: Context) : View(context) {
    var text: CharSequence = ""

    fun setText(@Suppress("UNUSED_PARAMETER") resource: Int) = Unit
}

open class Button(context: Context) : TextView(context)

open class ImageView(context: Context) : View(context) {
    fun setImageBitmap(@Suppress("UNUSED_PARAMETER") bitmap: Bitmap?) = Unit
}
