package org.edgemelanoma

/** What can go wrong between the assets and a decision. Each message says what to do. */
sealed class LesionException(message: String, cause: Throwable? = null) :
    RuntimeException(message, cause)

/** model_info.json is missing, broken, or describes something that this code does not do. */
class ModelInfoException(message: String, cause: Throwable? = null) :
    LesionException(message, cause)

/** A model file is missing, or its sha256 is not the one in model_info.json. */
class ChangedModelException(message: String, cause: Throwable? = null) :
    LesionException(message, cause)

/** A tensor of the model is not of the name, shape, type or quantisation that is needed. */
class WrongTensorException(message: String) : LesionException(message)

/** A picture without pixels: no width, no height, or a bitmap that was recycled. */
class EmptyPictureException(message: String) : LesionException(message)

/** The LiteRT runtime could not load or run the model. */
class RuntimeFailureException(message: String, cause: Throwable) : LesionException(message, cause)
