from . import methods as methods
from .models.answer import answer as answer
from .models.images import open_image as open_image
from .models.load import Loaded as Loaded
from .models.load import load as load
from .models.towers import attention_rows as attention_rows
from .models.towers import encode as encode
from .models.towers import received_by_layer as received_by_layer
from .models.zip import zip_model as zip_model
from .models.zipped import ZippedModel as ZippedModel
from .models.zipped import unzip_model as unzip_model
from .tokens.budget import Budget as Budget
from .tokens.budget import BudgetError as BudgetError
from .tokens.selection import ZippedTokens as ZippedTokens
from .tokens.selection import select_and_merge as select_and_merge
from .viewer.notebook import show as show

__version__: str
