package android.app

import android.content.Context

abstract class Application : Context()
