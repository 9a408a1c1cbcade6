package android.view

import android.content.Context

open class View(val context: Context) {
    var isEnabled = true
    var visibility = VISIBLE

    fun interface OnClickListener {
        fun onClick(view: View)
    }

    fun setOnClickListener(@Suppress("UNUSED_PARAMETER") listener: OnClickListener?) = Unit

    companion object {
        const val VISIBLE = 0
        const val GONE = 8
    }
}
