package androidx.activity

import androidx.lifecycle.ViewModel

@Suppress("UnusedReceiverParameter")
inline fun <reified VM : ViewModel> ComponentActivity.viewModels(): Lazy<VM> =
    lazy { TODO("There is no device for ${VM::class}.") }
