package androidx.activity

import android.content.ContentResolver
import android.content.Context
import android.content.res.AssetManager
import android.os.Bundle
import android.view.View
import androidx.activity.result.ActivityResultCallback
import androidx.activity.result.ActivityResultLauncher
import androidx.activity.result.contract.ActivityResultContract
import androidx.lifecycle.LifecycleOwner

open class ComponentActivity : Context(), LifecycleOwner {
    override val assets: AssetManager get() = TODO("There is no device.")
    override val contentResolver: ContentResolver get() = TODO("There is no device.")

    protected open fun onCreate(savedInstanceState: Bundle?) = Unit

    fun setContentView(@Suppress("UNUSED_PARAMETER") layout: Int) = Unit

    fun <T : View> findViewById(id: Int): T = TODO("There is no view $id.")

    fun <I, O> registerForActivityResult(
        @Suppress("UNUSED_PARAMETER") contract: ActivityResultContract<I, O>,
        @Suppress("UNUSED_PARAMETER") callback: ActivityResultCallback<O>,
    ): ActivityResultLauncher<I> = TODO("There is no device.")
}
