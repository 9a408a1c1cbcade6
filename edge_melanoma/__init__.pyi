from edge_melanoma.api import bench as bench
from edge_melanoma.api import check_data as check_data
from edge_melanoma.api import evaluate as evaluate
from edge_melanoma.api import export as export
from edge_melanoma.api import import_keras as import_keras
from edge_melanoma.api import load as load
from edge_melanoma.api import predict as predict
from edge_melanoma.api import train as train
from edge_melanoma.errors import EdgeMelanomaError as EdgeMelanomaError

__all__: list[str]
__version__: str
