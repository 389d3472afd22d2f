"""What conditions and methods are called; torch is not imported."""

STOCK, UNTRAINED = "stock", "untrained"
LOGITS = "logits x {:g}"
ADDED, SHIFTED, CONTROL = "registers alone", "registers", "registers, random neurons"
ABLATIONS = ("content gone", "content gone, random", "averaged inside", "averaged inside, random")
VANILLA, ZIPPED, BY_MEAN, RANDOM = "vanilla", "visionzip", "column mean", "random"
