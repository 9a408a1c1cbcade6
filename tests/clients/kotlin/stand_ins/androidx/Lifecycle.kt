package androidx.lifecycle

import android.app.Application

interface LifecycleOwner

fun interface Observer<T> {
    fun onChanged(value: T)
}

abstract class LiveData<T> {
    @Suppress("UNUSED_PARAMETER")
    fun observe(owner: LifecycleOwner, observer: Observer<in T>) = Unit
}

class MutableLiveData<T>(@Suppress("UNUSED_PARAMETER") value: T) : LiveData<T>() {
    fun postValue(@Suppress("UNUSED_PARAMETER") value: T) = Unit
}

abstract class ViewModel {
    protected open fun onCleared() = Unit
}

open class AndroidViewModel(private val application: Application) : ViewModel() {
    @Suppress("UNCHECKED_CAST")
    fun <T : Application> getApplication(): T = application as T
}
